// Claims about the settings of a store, and what they lose.
#include "sharding/shard_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "sharding/quantisation.h"

namespace homolog::shard {
namespace {

std::string refusal(const ShardPlan& plan) {
  try {
    validate(plan);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
    return e.what();
  }
  return "";
}

TEST(ShardPlanTest, TheFlagsOfTheCommandAreTheKeysOfTheSection) {
  ShardPlan plan;
  Options options("homolog shard", "", "");
  declare(options, plan);
  const char* words[] = {"homolog shard",
                         "--landmarks-per-study",
                         "24",
                         "--studies-per-landmark=5",
                         "--margin",
                         "4",
                         "--spacing",
                         "2,2,2.5",
                         "--voxel",
                         "u8",
                         "--codec",
                         "zstd"};
  EXPECT_TRUE(options.parse(std::size(words), words));
  EXPECT_EQ(refusal(plan), "");
  const auto all = settings(plan);
  EXPECT_EQ(all.at("landmarks_per_study"), "24");
  EXPECT_EQ(all.at("studies_per_landmark"), "5");
  EXPECT_EQ(all.at("spacing"), "2,2,2.5");
  const auto header = header_of(plan, hex64(0), hex64(0));
  EXPECT_EQ(header.crop, (Index3{200, 200, 72}));
  EXPECT_EQ(header.encoding, store::Encoding::SteppedU8);
  EXPECT_EQ(header.codec, store::Codec::Zstd);
  EXPECT_EQ(plan.spacing_mm(), (Point3{2, 2, 2.5}));
}

TEST(ShardPlanTest, SpacingIsNativeOrThreeLengths) {
  ShardPlan plan;
  EXPECT_FALSE(plan.spacing_mm());
  for (const char* wrong : {"", "2", "2,2", "2,2,2,2", "2,2,x", "2,2,0", "2,2,-1", "2,2,nan",
                            "2,2,2 ", "isotropic", "2;2;2", ",,", "2,2,"}) {
    plan.spacing = wrong;
    EXPECT_THAT(refusal(plan), ::testing::HasSubstr("shard.spacing")) << wrong;
  }
}

TEST(ShardPlanTest, AGroupThatNoShardCanHoldIsRefusedWithWhatWouldFit) {
  ShardPlan plan;
  plan.studies_per_landmark = 15;
  plan.studies_in_memory = 16;
  plan.landmarks_per_study = 65;
  EXPECT_THAT(refusal(plan), ::testing::HasSubstr("landmarks_per_study to at most 64"));
  plan.landmarks_per_study = 64;
  EXPECT_EQ(refusal(plan), "");
  plan.studies_in_memory = 15;
  EXPECT_THAT(refusal(plan), ::testing::HasSubstr("studies_per_landmark + 1"));
  plan = {};
  plan.crop = {1000, 64, 64};
  plan.margin = 32;
  EXPECT_THAT(refusal(plan), ::testing::HasSubstr("margin included"));
}

TEST(ShardPlanTest, WhatChangesAStoredByteIsInTheHash) {
  const std::vector<std::function<void(ShardPlan&)>> changes = {
      [](ShardPlan& p) { p.spacing = "2,2,2"; }, [](ShardPlan& p) { p.voxel = "u8"; },
      [](ShardPlan& p) { p.codec = "zstd"; }, [](ShardPlan& p) { p.margin = 2; },
      [](ShardPlan& p) { p.landmarks_per_study = 7; }};
  std::set<std::string> hashes{plan_hash({}, hex64(0), {})};
  for (const auto& change : changes) {
    ShardPlan plan;
    change(plan);
    EXPECT_TRUE(hashes.insert(plan_hash(plan, hex64(0), {})).second);
  }
}

TEST(QuantisationTest, IsNoneButForStepsWiderThanOneHu) {
  ShardPlan plan;
  for (const char* voxel : {"u16", "i16"}) {
    plan.voxel = voxel;
    const auto none = quantisation_error(header_of(plan, hex64(0), hex64(0)));
    EXPECT_EQ(none.largest_hu, 0);
    EXPECT_EQ(none.rms_hu, 0);
  }
  plan.voxel = "u8";
  const auto some = quantisation_error(header_of(plan, hex64(0), hex64(0)));
  EXPECT_DOUBLE_EQ(some.step_hu, 380.0 / 255);
  EXPECT_EQ(some.largest_hu, 1);
  // 381 values in 256 levels: each level is exact for one value, the other 125 are 1 HU off.
  EXPECT_DOUBLE_EQ(some.rms_hu, std::sqrt(125.0 / 381));
  plan.window_high = 130;  // 256 values
  EXPECT_EQ(quantisation_error(header_of(plan, hex64(0), hex64(0))).largest_hu, 0);
}

}  // namespace
}  // namespace homolog::shard
