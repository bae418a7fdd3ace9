// Any bytes as store.json end in a manifest or in an Error that shows none of them.
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "sharding/store/store_manifest.h"

namespace {

// Below TMPDIR, which fuzz_test.py removes: libFuzzer ends without destructors.
const std::filesystem::path& folder() {
  static const std::filesystem::path made = [] {
    const auto path =
        std::filesystem::temp_directory_path() / ("homolog_fuzz_" + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
    return path;
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::ofstream(folder() / "store.json", std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    const auto manifest = homolog::store::load_manifest(folder());
    (void)manifest.pairs("");
    (void)manifest.bytes();
  } catch (const homolog::Error&) {
  }
  return 0;
}
