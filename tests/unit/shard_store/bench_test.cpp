// A damaged store ends the bench with a fault that the caller can catch, whichever thread met it.
#include "sharding/store/bench.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/shard_store/flipped_bit.h"

namespace homolog::store {
namespace {

namespace fs = std::filesystem;

TEST(StoreBench, ADamagedCropIsADataFaultNotAnAbort) {
  const fs::path folder =
      fs::temp_directory_path() / ("homolog_bench_" + std::to_string(::getpid()));
  fs::create_directories(folder);
  test::write_synthetic_store(folder, {});
  {
    const PairStore whole({folder, "train"});
    const ReadSpeed speed = bench(whole, 2, 0.1);
    EXPECT_GT(speed.reader, 0);
    EXPECT_GT(speed.copy, 0);
  }
  const fs::path file = folder / "shard-00000.h5";
  flip_a_bit_of_crop(file, 1);
  const PairStore damaged({folder, "train"});
  try {
    bench(damaged, 2, 5);
    ADD_FAILURE() << "a flipped byte went through";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace homolog::store
