// The one use of libpng: an RGB picture to a file or to bytes.
#include <png.h>
#include <strings.h>

#include <cstring>

#include "base/atomic_file.h"
#include "base/error.h"
#include "picture/picture.h"

namespace homolog {
namespace {

png_image image_of(const Picture& picture) {
  png_image image;
  std::memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  image.format = PNG_FORMAT_RGB;
  return image;
}

}  // namespace

bool is_png_name(const std::filesystem::path& file) {
  return ::strcasecmp(file.extension().c_str(), ".png") == 0;
}

void check_png_name(const std::filesystem::path& file) {
  if (!is_png_name(file))
    throw Error(Fault::Usage, "cannot write " + file.string() + ": the picture is a PNG",
                "give a name that ends in .png");
}

void write_png(const Picture& picture, const std::filesystem::path& file) {
  check_png_name(file);
  write_file_atomically(file, png_of(picture));
}

std::string png_of(const Picture& picture) {
  png_image image = image_of(picture);
  std::string bytes(PNG_IMAGE_PNG_SIZE_MAX(image), 0);
  png_alloc_size_t size = bytes.size();
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, picture.rgb.data(), 0, nullptr) ==
      0) {
    throw Error(Fault::Environment, std::string("cannot make a PNG: ") + image.message);
  }
  bytes.resize(size);
  return bytes;
}

}  // namespace homolog
