// Sides of a crop as text, on command lines, in metadata and in messages.
#pragma once

#include <string>

#include "model/backbone.h"

namespace homolog::backbone {

// "96,96,64" and "96x96x64"; false: not three numbers from 1 to 65536.
bool parse_crop(const std::string& text, Size3& crop);
std::string crop_text(const Size3& crop, char between = ',');  // "96,96,64"

}  // namespace homolog::backbone
