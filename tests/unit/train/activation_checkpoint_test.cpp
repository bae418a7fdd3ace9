// cluster.activation_checkpoint in whole runs: another way to the same numbers, also half way
// through, and refused where it cannot be had.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/train/run_folder_facts.h"
#include "tests/unit/train/toy.h"
#include "tests/unit/train/toy_pairs.h"

namespace homolog::train {
namespace {

using namespace toy;
constexpr backbone::Size3 kCrop{32, 32, 16};

TrainingPlan alice_plan(const fs::path& run, bool recomputes) {
  TrainingPlan plan = plan_for(run);
  plan.batch = 1;
  plan.accumulate = 2;
  plan.activation_checkpoint = recomputes;
  plan.schedule.steps = 4;
  plan.schedule.warmup_steps = 0;
  plan.schedule.scale_lr = false;
  plan.schedule.base_lr = 1e-4;
  plan.schedule.validate_every = 1;
  return plan;
}

TrainingParts alice_parts() {
  TrainingParts parts;
  parts.program = "alice";
  parts.objective = [] { return objective::tiny::make({}, "nnformer", kCrop); };
  parts.source = [](const Start& start) { return std::make_unique<Pairs>(start, kCrop, 2); };
  return parts;
}

void expect_near(const fs::path& a, const fs::path& b) {
  for (const bool validation : {false, true}) {
    const auto one = metrics(a, validation), other = metrics(b, validation);
    ASSERT_EQ(one.size(), other.size());
    ASSERT_FALSE(one.empty());
    for (std::size_t i = 0; i < one.size(); ++i) {
      const auto total = [&](const nlohmann::json& line) {
        return (validation ? line["validation"]["total"] : line["total"]).get<double>();
      };
      EXPECT_NEAR(total(one[i]), total(other[i]), 1e-5 * std::abs(total(one[i]))) << i;
    }
  }
}

TEST(ActivationCheckpoint, TrainsToTheSameNumbersAndCanBeChangedOnResume) {
  const Scratch scratch;
  EXPECT_EQ(run(alice_plan(scratch.path / "kept", false), alice_parts()), 0);
  EXPECT_EQ(run(alice_plan(scratch.path / "recomputed", true), alice_parts()), 0);
  expect_near(scratch.path / "kept", scratch.path / "recomputed");
  for (const bool recomputes : {true, false, true}) {
    TrainingPlan plan = alice_plan(scratch.path / "changed", recomputes);
    plan.stop_after = 1;
    EXPECT_EQ(run(plan, alice_parts()), 75);
  }
  EXPECT_EQ(run(alice_plan(scratch.path / "changed", false), alice_parts()), 0);
  expect_near(scratch.path / "kept", scratch.path / "changed");
}

TEST(ActivationCheckpoint, AnObjectiveThatCannotRecomputeRefusesItByItsName) {
  const Scratch scratch;
  TrainingPlan plan = plan_for(scratch.path);
  plan.activation_checkpoint = true;
  std::string what;
  EXPECT_EQ(fault_of([&] { run(plan, parts_for()); }, &what), Fault::Usage);
  EXPECT_THAT(what, ::testing::HasSubstr("recompute"));
}

}  // namespace
}  // namespace homolog::train
