// An 8-bit picture in memory, and the PNG that it becomes.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace homolog {

using Colour = std::array<std::uint8_t, 3>;

// 8-bit RGB, rows from the top.
struct Picture {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> rgb;

  // All of one grey.
  static Picture blank(std::int64_t width, std::int64_t height, std::uint8_t grey);
  std::uint8_t* at(std::int64_t x, std::int64_t y) { return rgb.data() + (y * width + x) * 3; }
  // Nothing happens outside the picture.
  void paint(std::int64_t x, std::int64_t y, const Colour& colour);
};

// Does the name end in .png, in small letters or capitals?
bool is_png_name(const std::filesystem::path& file);
// Throws Fault::Usage unless it does.
void check_png_name(const std::filesystem::path& file);
// Atomic. Throws Fault::Usage: not .png; Fault::Environment.
void write_png(const Picture& picture, const std::filesystem::path& file);
// The PNG's bytes.
std::string png_of(const Picture& picture);

}  // namespace homolog
