// Claims about reading past the page cache: the same crops, nothing left there, the same refusals.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "sharding/store/pair_store.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/shard_store/flipped_bit.h"

namespace homolog::store {
namespace {

namespace fs = std::filesystem;

class PageCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog_page_cache_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    test::write_synthetic_store(folder_, {.train = 40, .pairs_per_shard = 40});
    file_ = folder_ / "shard-00000.h5";
    direct_.emplace(file_);
    if (!direct_->pass_page_cache())
      GTEST_SKIP() << "O_DIRECT is not checked: the file system of " << folder_ << " has none";
  }
  void TearDown() override { fs::remove_all(folder_); }
  void forget() const {
    const int descriptor = ::open(file_.c_str(), O_RDONLY);
    ::fsync(descriptor);
    ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    ::close(descriptor);
  }
  std::vector<std::uint16_t> window() const {
    return std::vector<std::uint16_t>(static_cast<std::size_t>(direct_->header().voxels()));
  }
  fs::path folder_, file_;
  std::optional<ShardReader> direct_;
  ShardReader::Scratch scratch_;
};

TEST_F(PageCacheTest, GivesTheSameCropsWhereverTheyLie) {
  const ShardReader cached(file_);
  auto ours = window(), expected = window();
  for (std::int64_t row = 0; row < cached.crops(); ++row) {
    direct_->read_window(row, ours, scratch_);
    cached.read_window(row, expected, scratch_);
    EXPECT_EQ(ours, expected) << "crop " << row << " at byte " << cached.chunk(row).offset;
  }
}

TEST_F(PageCacheTest, LeavesNothingInThePageCache) {
  const ShardReader cached(file_);
  auto out = window();
  forget();
  EXPECT_TRUE(direct_->read_window(70, out, scratch_));
  EXPECT_TRUE(cached.read_window(70, out, scratch_)) << "the first read left it in the page cache";
  EXPECT_FALSE(cached.read_window(70, out, scratch_)) << "the page cache does not work here";
}

TEST_F(PageCacheTest, RefusesWhatIsDamagedOrCutNamingItsPlace) {
  flip_a_bit_of_crop(file_, 3);
  auto out = window();
  const auto refusal = [&](std::int64_t row) -> std::string {
    try {
      direct_->read_window(row, out, scratch_);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Data);
      return e.what();
    }
    return "";
  };
  EXPECT_THAT(refusal(3), ::testing::HasSubstr("crop 3 at byte"));
  fs::resize_file(file_, direct_->chunk(50).offset + 7);
  EXPECT_EQ(refusal(49), "");
  EXPECT_THAT(refusal(50), ::testing::HasSubstr("crop 50 at byte"));
  EXPECT_THAT(refusal(79), ::testing::HasSubstr("the file ends within it"));
}

TEST_F(PageCacheTest, IsPassedBySplitsThatAreLargerThanItMayHold) {
  const std::uint64_t bytes = fs::file_size(file_);
  EXPECT_EQ(PairStore({folder_, "train"}).page_cache(), PageCache::Used);
  EXPECT_EQ(PairStore({folder_, "train", {}, bytes}).page_cache(), PageCache::Used);
  EXPECT_EQ(PairStore({folder_, "train", {}, bytes - 1}).page_cache(), PageCache::Passed);
}

}  // namespace
}  // namespace homolog::store
