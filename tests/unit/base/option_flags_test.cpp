// Flags that stand for the keys of a program's own section.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/options.h"

namespace homolog {
namespace {

TEST(Options, KeysOfTheFlagSectionAreAlsoFlagsWithoutIt) {
  std::int64_t landmarks = 16;
  bool fast = false;
  Options options("prog", "", "test");
  options.add("shard.landmarks_per_study", landmarks, "landmarks");
  options.add("shard.fast", fast, "fast");
  options.flags_without_section("shard");
  const char* words[] = {"prog", "--set", "shard.landmarks_per_study=3", "--landmarks-per-study",
                         "24",   "--fast"};
  EXPECT_TRUE(options.parse(6, words));
  EXPECT_EQ(landmarks, 24);
  EXPECT_TRUE(fast);
  EXPECT_EQ(options.config_arguments(),
            (std::vector<std::string>{"--set", "shard.landmarks_per_study=3", "--set",
                                      "shard.landmarks_per_study=24", "--set", "shard.fast=true"}));
  EXPECT_NE(options.help().find("--landmarks-per-study, --shard.landmarks_per_study"),
            std::string::npos);
  const char* wrong[] = {"prog", "--landmark-per-study=3"};
  try {
    options.parse(2, wrong);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.remedy(), "did you mean landmarks-per-study?");
  }
}

}  // namespace
}  // namespace homolog
