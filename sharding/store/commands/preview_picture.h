// Query beside key, plane by plane through the landmark, as a radiologist sees them.
#pragma once

#include <string>

#include "picture/font.h"
#include "picture/picture.h"
#include "sharding/store/commands/preview_pairs.h"

namespace homolog::store {

inline constexpr std::int64_t kPreviewPanel = 220;  // pixels, a side
inline constexpr std::int64_t kPreviewGap = 10;     // pixels around each panel
inline constexpr std::int64_t kPreviewTop = kPreviewGap + kTextHeight + 6;  // a title above it

// One row of six panels: axial, coronal, sagittal, of each the query and then the key,
// `kPreviewTop` below the picture's edge. The patient's right is at the left, the front at the top
// or left, the head at the top; a letter stands at each side. Millimetres are square, and alike in
// query and key, unless one of them would fill less than half of its panel: it is enlarged, and
// says so
// ("X2.5"). A cross marks the landmark; a frame, where the crops have a margin, what is left
// without it.
Picture picture_of_pair(const ShardHeader& header, const PreviewPair& pair);

// Rows of pairs with score and pseudonyms beneath each, under a line `title` in capitals.
class PreviewSheet {
 public:
  PreviewSheet(const ShardHeader& header, std::int64_t pairs, const std::string& title);
  void add(const PreviewPair& pair);
  const Picture& picture() const noexcept { return picture_; }

 private:
  const ShardHeader& header_;
  Picture picture_;
  std::int64_t top_;
};

}  // namespace homolog::store
