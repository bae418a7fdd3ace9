// SLURM's and mpirun's ways to write hosts, as tables.
#include "cluster/topology/hosts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace homolog::topology {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(HostList, ExpandsRangesListsAndPlainNames) {
  EXPECT_THAT(expand_host_list("n1"), ElementsAre("n1"));
  EXPECT_THAT(expand_host_list("n[1-3,7],m4"), ElementsAre("n1", "n2", "n3", "n7", "m4"));
  EXPECT_THAT(expand_host_list("a,b.example.org"), ElementsAre("a", "b.example.org"));
  EXPECT_THAT(expand_host_list("gpu-[2]"), ElementsAre("gpu-2"));
}

TEST(HostList, KeepsLeadingZeros) {
  EXPECT_THAT(expand_host_list("n[08-10]"), ElementsAre("n08", "n09", "n10"));
  EXPECT_THAT(expand_host_list("n[0-1]"), ElementsAre("n0", "n1"));
  EXPECT_THAT(expand_host_list("n[099-100]"), ElementsAre("n099", "n100"));
}

TEST(HostList, SeveralBracketsMultiplyTheLastFastest) {
  EXPECT_THAT(expand_host_list("r[1-2]n[1-2]x"), ElementsAre("r1n1x", "r1n2x", "r2n1x", "r2n2x"));
}

TEST(HostList, RefusesWhatItCannotReadNamingTheText) {
  for (const char* text : {"", "n[1-", "n1]", "n[[1]]", "n[3-1]", "n[a-b]", "n[]", "a,,b",
                           "n[1-99999999]", "n[0-999]m[0-999]", "n[-1]"}) {
    try {
      expand_host_list(text);
      ADD_FAILURE() << "accepted '" << text << "'";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage) << text;
      EXPECT_THAT(e.what(), HasSubstr(text));
    }
  }
}

TEST(TaskCounts, ExpandsRepetitions) {
  EXPECT_THAT(expand_task_counts("2(x3),1"), ElementsAre(2, 2, 2, 1));
  EXPECT_THAT(expand_task_counts("8"), ElementsAre(8));
  for (const char* text : {"", "2(x)", "2(x3", "x", "0", "2(x0)", "1(x99999999)"})
    EXPECT_THROW(expand_task_counts(text), Error) << text;
}

TEST(HostFile, ReadsSlotsCommentsAndRepeatedNames) {
  const auto hosts = parse_host_file(
      "# two nodes\n n1 slots=4  # first\n\nn2:2\nn1 slots=1 max_slots=9\nn3\n", "hosts");
  EXPECT_THAT(hosts, ElementsAre(Host{"n1", 5}, Host{"n2", 2}, Host{"n3", 1}));
}

TEST(HostFile, NamesTheLineThatItCannotRead) {
  for (const char* bad : {"n1 slots=x", "n1 slots=0", "n1 gpus=3", "n1:0", ":4"}) {
    try {
      parse_host_file(std::string("ok\n") + bad + "\n", "my.hosts");
      ADD_FAILURE() << bad;
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("my.hosts:2")) << bad;
    }
  }
  EXPECT_THROW(parse_host_file("# nothing\n", "hosts"), Error);
}

}  // namespace
}  // namespace homolog::topology
