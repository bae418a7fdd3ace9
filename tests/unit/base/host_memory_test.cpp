// Claims about the memory of a job: SLURM's and containers' limits count, not the machine's size.
#include "base/host_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace homolog {
namespace {

namespace fs = std::filesystem;

class HostMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog_memory_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const fs::path& file, const std::string& text) const {
    fs::create_directories((folder_ / file).parent_path());
    std::ofstream(folder_ / file) << text << "\n";
  }
  std::uint64_t limit() const { return memory_limit(folder_ / "proc", folder_ / "groups"); }
  fs::path folder_;
};

TEST_F(HostMemoryTest, IsTheMachinesWhereNothingLimitsIt) {
  const std::uint64_t machine = limit();
  EXPECT_GT(machine, std::uint64_t{1} << 28);
  write("proc/cgroup", "0::/user");
  write("groups/user/memory.max", "max");
  EXPECT_EQ(limit(), machine);
}

TEST_F(HostMemoryTest, IsTheSmallestLimitOfTheGroupsAround) {
  write("proc/cgroup", "0::/slurm/job_7/step_0");
  write("groups/slurm/job_7/memory.max", "4000000");
  write("groups/slurm/job_7/step_0/memory.max", "max");
  write("groups/slurm/memory.max", "9000000");
  EXPECT_EQ(limit(), 4000000U);
}

TEST_F(HostMemoryTest, KnowsControlGroupsOfBothVersions) {
  write("proc/cgroup", "5:cpu,cpuacct:/other\n4:memory:/slurm/job_7\n0::/");
  write("groups/memory/slurm/job_7/memory.limit_in_bytes", "3000000");
  write("groups/other/memory.max", "1");
  EXPECT_EQ(limit(), 3000000U);
}

}  // namespace
}  // namespace homolog
