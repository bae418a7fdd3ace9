// A font of 5 x 7 dots for the few words in a picture: no library that is linked draws text.
#pragma once

#include <cstdint>
#include <string_view>

#include "picture/picture.h"

namespace homolog {

inline constexpr std::int64_t kTextScale = 2;                 // pixels a dot
inline constexpr std::int64_t kTextHeight = 7 * kTextScale;   // pixels
inline constexpr std::int64_t kTextAdvance = 6 * kTextScale;  // pixels a letter

// White on a dark edge, `left`, `top` of the first letter in pixels. Capitals, hex digits,
// '.', '-' and ':'; anything else is a blank.
void draw_text(Picture& picture, std::int64_t left, std::int64_t top, std::string_view text);

}  // namespace homolog
