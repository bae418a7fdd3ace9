// The one use of libpng: an RGB picture to a file.
#include <png.h>

#include <cstring>

#include "base/atomic_file.h"
#include "base/error.h"
#include "sharding/match/picture.h"

namespace homolog::match {

void check_png_name(const std::filesystem::path& file) {
  if (file.extension() != ".png")
    throw Error(Fault::Usage, "cannot write " + file.string() + ": the picture is a PNG",
                "give a name that ends in .png");
}

void write_png(const Picture& picture, const std::filesystem::path& file) {
  check_png_name(file);
  png_image image;
  std::memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  image.format = PNG_FORMAT_RGB;
  PendingPath pending(file);
  if (png_image_write_to_file(&image, pending.temporary().c_str(), 0, picture.rgb.data(), 0,
                              nullptr) == 0) {
    throw Error(Fault::Environment, "cannot write " + file.string() + ": " + image.message,
                "check the folder and its free space");
  }
  pending.publish();
}

}  // namespace homolog::match
