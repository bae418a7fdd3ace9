// A picture of a match: axial and coronal slices of query and key with a cross at the point.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sharding/match/matcher.h"
#include "volume/volume.h"

namespace homolog::match {

// 8-bit RGB, rows from the top.
struct Picture {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> rgb;
  std::uint8_t* at(std::int64_t x, std::int64_t y) { return rgb.data() + (y * width + x) * 3; }
};

// Throws Fault::Usage unless the name ends in .png.
void check_png_name(const std::filesystem::path& file);
// Atomic. Throws Fault::Usage: not .png; Fault::Environment.
void write_png(const Picture& picture, const std::filesystem::path& file);

// Upper row: query; lower row: key. Left: axial (patient's right at the left, front at the top);
// right: coronal (head at the top). Each panel says which it is, and the patient's R and L. Under
// the key's row stand the score and a bar of its length (0 to 1).
// Window -160 to 240 HU; millimetres are square.
Picture picture_of_match(const Volume& query, const Point3& query_index, const Volume& key,
                         const Match& match);

}  // namespace homolog::match
