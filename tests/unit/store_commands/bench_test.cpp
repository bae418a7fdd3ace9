// What the bench says is measured; a damaged store ends it with a fault that the caller can catch.
#include "sharding/store/commands/bench.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/error.h"
#include "sharding/store/commands/disk_pass.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/shard_store/flipped_bit.h"
#include "tests/unit/store_commands/temporary_folder.h"

namespace homolog::store {
namespace {

TEST(StoreBench, HasARowForEachThreadCountAndPeerAndSaysWhatDoesNotFit) {
  const test::TemporaryFolder folder("bench");
  test::write_synthetic_store(folder.path(), {});
  const PairStore pairs({folder.path(), "train"});
  std::vector<std::string> told;
  const auto rows = bench(pairs, {.threads = {1, 64}, .seconds = 0.1, .cold = true},
                          [&](const BenchRow& row) { told.push_back(row.name); });
  ASSERT_EQ(rows.size(), 6U);
  ASSERT_EQ(told.size(), 6U);
  EXPECT_EQ(told[0], "vs_codec, 1 thread, warm");
  EXPECT_EQ(told[5], "cold_vs_disk, 64 threads");
  for (const BenchRow& row : rows) {
    EXPECT_GT(row.ours, 0) << row.name;
    EXPECT_GT(row.peer, 0) << row.name;
    EXPECT_GT(row.ratio, 0) << row.name;
  }
  EXPECT_NE(rows[2].note.find("fewer pairs than threads"), std::string::npos) << rows[2].note;
  EXPECT_NE(rows[4].note.find("too few to tell a disk's speed"), std::string::npos);
  const auto json = to_json(rows[1]);
  EXPECT_TRUE(json["goal"].is_null());
  EXPECT_TRUE(json["met"].is_null());
}

TEST(StoreBench, ADamagedCropIsADataFaultNotAnAbort) {
  const test::TemporaryFolder folder("bench_damaged");
  test::write_synthetic_store(folder.path(), {});
  flip_a_bit_of_crop(folder.path() / "shard-00000.h5", 1);
  const PairStore damaged({folder.path(), "train"});
  try {
    bench(damaged, {.threads = {2}, .seconds = 5});
    ADD_FAILURE() << "a flipped byte went through";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
  }
}

TEST(StoreBench, FilesInMemoryAreNotTakenForADisk) {
  const std::filesystem::path memory = "/dev/shm";
  ASSERT_TRUE(std::filesystem::is_directory(memory));
  const auto file = memory / ("homolog_bench_" + std::to_string(::getpid()));
  write_file_atomically(file, std::string(1 << 20, 'x'));
  EXPECT_EQ(drop_from_cache({file}), 1);
  EXPECT_EQ(read_through({file}, 1).bytes, 1U << 20);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace homolog::store
