// Claims about what a long run keeps: neither memory nor descriptors grow with reads or with
// openings.
#include <gtest/gtest.h>
#include <malloc.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "sharding/store/pair_store.h"
#include "sharding/store/verify.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/shard_store/flipped_bit.h"

namespace homolog::store {
namespace {

namespace fs = std::filesystem;

struct Held {
  std::int64_t heap, resident, descriptors;
};

Held held() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t pages = 0, resident = 0;
  statm >> pages >> resident;
  statm.close();
  return {static_cast<std::int64_t>(::mallinfo2().uordblks), resident * ::sysconf(_SC_PAGESIZE),
          std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator())};
}

#ifdef __SANITIZE_ADDRESS__
constexpr std::int64_t kResidentSlack = 512 << 20;  // it keeps what was freed for a while
#else
constexpr std::int64_t kResidentSlack = 4 << 20;
#endif
constexpr std::int64_t kHeapSlack = 32 << 10;

void expect_no_growth(const Held& before, const Held& after) {
  EXPECT_LT(after.heap - before.heap, kHeapSlack);
  EXPECT_LT(after.resident - before.resident, kResidentSlack);
  EXPECT_EQ(after.descriptors, before.descriptors);
}

class Resources : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog_held_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    test::SyntheticPlan plan;
    plan.crop = {8, 8, 8};
    test::write_synthetic_store(folder_, plan);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(Resources, AHundredThousandReadsKeepNothing) {
  flip_a_bit_of_crop(folder_ / "shard-00000.h5", 3);  // failures keep nothing either
  const PairStore pairs({folder_, "train"});
  std::vector<std::uint16_t> window(static_cast<std::size_t>(pairs.header().voxels()));
  ShardReader::Scratch scratch;
  std::int64_t refused = 0;
  const auto read = [&](std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto place = pairs.at(i % pairs.pairs());
      try {
        place.shard->read_window(i % 2 == 0 ? place.pair.query : place.pair.key, window, scratch);
      } catch (const Error&) {
        ++refused;
      }
    }
  };
  read(100);
  const Held before = held();
  read(100000);
  expect_no_growth(before, held());
  EXPECT_EQ(refused, 13 + 12500);  // one of eight
}

TEST_F(Resources, TwoThousandOpeningsKeepNothing) {
  fs::copy(folder_ / "shard-00001.h5", folder_ / "cut.h5");
  fs::resize_file(folder_ / "cut.h5", 5000);
  const auto open = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const PairStore pairs({folder_, "train"});
      (void)pairs.at(0).shard->read_crop_table();
      EXPECT_THROW(ShardReader{folder_ / "cut.h5"}, Error);
    }
  };
  open(100);  // what HDF5 keeps for itself
  const Held before = held();
  open(2000);
  expect_no_growth(before, held());
}

TEST_F(Resources, VerifyingAgainAndAgainKeepsNothing) {
  const auto check = [&](int count) {
    for (int i = 0; i < count; ++i) EXPECT_TRUE(verify(folder_).findings.empty());
  };
  check(20);
  const Held before = held();
  check(200);
  expect_no_growth(before, held());
}

}  // namespace
}  // namespace homolog::store
