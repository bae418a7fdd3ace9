// Claims about groups and splits: no patient twice in a group, none on both sides of the split.
#include "sharding/study_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"

namespace homolog::shard {
namespace {

// Each study of a patient of its own, or of `patients` in turn.
std::vector<Member> members(std::size_t n, std::size_t patients = 0) {
  std::vector<Member> out;
  for (std::size_t i = 0; i < n; ++i)
    out.push_back({hex64(i + 1), hex64(1000 + (patients == 0 ? i : i % patients))});
  return out;
}

TEST(StudyGroups, EveryStudyIsInOneGroupOfTwoOrMoreAndOneSplit) {
  for (std::size_t n = 2; n < 40; ++n) {
    std::multiset<std::size_t> seen;
    for (const Group& g : make_groups(members(n), 0.1, 4, 1)) {
      EXPECT_GE(g.studies.size(), 2U) << n;
      EXPECT_LE(g.studies.size(), 5U) << n;
      seen.insert(g.studies.begin(), g.studies.end());
    }
    EXPECT_EQ(seen.size(), n);
    EXPECT_EQ(std::set<std::size_t>(seen.begin(), seen.end()).size(), n);
  }
}

TEST(StudyGroups, SplitFollowsTheIdNotTheCatalogueOrder) {
  auto forward = members(20), backward = forward;
  std::reverse(backward.begin(), backward.end());
  const auto held = [](const std::vector<Member>& list) {
    std::set<std::string> out;
    for (const Group& g : make_groups(list, 0.2, 4, 9)) {
      if (g.split == "validation")
        for (const auto s : g.studies) out.insert(list[s].id);
    }
    return out;
  };
  EXPECT_EQ(held(forward).size(), 4U);
  EXPECT_EQ(held(forward), held(backward));
}

TEST(StudyGroups, OneStudyCannotMakeAPair) {
  try {
    make_groups(members(1), 0.1, 4, 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("no pair possible"));
  }
}

TEST(StudyGroups, NoPatientIsInTwoSplitsNorTwiceInAGroup) {
  for (std::size_t patients = 2; patients < 12; ++patients) {
    const auto list = members(3 * patients, patients);
    std::map<std::string, std::string> split_of;
    std::set<std::size_t> seen;
    for (const Group& g : make_groups(list, 0.3, 4, 7)) {
      std::set<std::string> subjects;
      EXPECT_GE(g.studies.size(), 2U);
      EXPECT_LE(g.studies.size(), 5U);
      for (const std::size_t s : g.studies) {
        EXPECT_TRUE(subjects.insert(list[s].subject).second) << "twice in a group";
        EXPECT_TRUE(seen.insert(s).second) << "a study in two groups";
        EXPECT_EQ(split_of.emplace(list[s].subject, g.split).first->second, g.split);
      }
    }
    EXPECT_EQ(seen.size(), 3 * patients) << "equally many scans a patient: all are used";
  }
}

TEST(StudyGroups, ScansThatOnlyTheirOwnPatientCouldBePairedWithAreInNoGroup) {
  auto list = members(9);
  for (std::size_t i = 2; i < 9; ++i) list[i].subject = list[1].subject;
  const auto groups = make_groups(list, 0.1, 4, 7);
  ASSERT_EQ(groups.size(), 1U);
  EXPECT_EQ(groups[0].studies.size(), 2U);
}

TEST(StudyGroups, ManyScansOfOnePatientCannotMakeAPair) {
  try {
    make_groups(members(7, 1), 0.1, 4, 1);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("7 usable CT of one patient"));
  }
}

}  // namespace
}  // namespace homolog::shard
