// What the disk probe measures, refuses and leaves behind.
#include "cluster/doctor/disk_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <stdexcept>

#include "base/clock.h"
#include "base/error.h"
#include "cluster/doctor/within.h"

namespace homolog::doctor {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

class DiskProbe : public ::testing::Test {
 protected:
  DiskProbe() : folder_(fs::temp_directory_path() / ("doctor_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~DiskProbe() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(DiskProbe, WritesAndReadsAndLeavesNothing) {
  bool empty = true;
  const Measured m =
      probe_write_and_read(folder_, 4 * kMiB, 5, [&] { empty = empty && fs::is_empty(folder_); });
  EXPECT_GT(m.number("write_bps"), 0);
  EXPECT_GT(m.number("read_bps"), 0);
  EXPECT_TRUE(empty) << "the file has a name while it is written: a signal would leave it";
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(DiskProbe, EndsWhenAskedInTheMiddle) {
  int pieces = 0;
  const auto stop = [&] {
    if (++pieces == 3) throw Error(Fault::Stopped, "asked");
  };
  EXPECT_THROW(probe_write_and_read(folder_, 64 * kMiB, 60, stop), Error);
  EXPECT_EQ(pieces, 3);
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(DiskProbe, TakesNoLongerThanItMay) {
  const Stopwatch watch;
  const Measured m = probe_write_and_read(folder_, std::uint64_t{1} << 40, 0.2);
  EXPECT_LT(watch.seconds(), 20);  // the fsync comes after
  EXPECT_GT(m.number("read_bps"), 0);
}

TEST_F(DiskProbe, AFolderThatIsNotThereIsRefusedByName) {
  try {
    probe_write_and_read(folder_ / "nope", kMiB, 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Environment);
    EXPECT_THAT(e.what(), ::testing::HasSubstr((folder_ / "nope").string()));
  }
  EXPECT_THROW(probe_read(folder_ / "nope", ".h5", kMiB, 1), Error);
}

TEST_F(DiskProbe, ReadsShardsThatAreThereUpToTheBytesAsked) {
  EXPECT_TRUE(probe_read(folder_, ".h5", kMiB, 1).numbers.empty());
  std::ofstream(folder_ / "a.h5") << std::string(3 * kMiB, 'x');
  std::ofstream(folder_ / "b.h5") << std::string(3 * kMiB, 'x');
  std::ofstream(folder_ / "c.txt") << std::string(3 * kMiB, 'x');
  EXPECT_EQ(count_files(folder_, ".h5"), 2);
  EXPECT_EQ(probe_read(folder_, ".h5", 64 * kMiB, 5).number("bytes"), 6.0 * kMiB);
  EXPECT_EQ(probe_read(folder_, ".h5", 4 * kMiB, 5).number("bytes"), 4.0 * kMiB);
}

TEST(Within, GivesResultsFaultsAndNothingAfterTheDeadline) {
  EXPECT_EQ(within<int>(5, [] { return 7; }), 7);
  EXPECT_THROW(within<int>(5, []() -> int { throw std::runtime_error("no"); }), std::runtime_error);
  const Stopwatch watch;
  const auto late = within<int>(0.05, [] {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    return 7;
  });
  EXPECT_FALSE(late.has_value());
  EXPECT_LT(watch.seconds(), 0.8);
}

}  // namespace
}  // namespace homolog::doctor
