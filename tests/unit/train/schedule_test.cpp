// Claims about schedules: the numbers of method.md 10, lengths, and refusals.
#include "train/schedule.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace homolog::train {
namespace {

TEST(Schedule, MatchesTheNumbersOfTheMethod) {
  SchedulePlan plan;
  plan.epochs = 100;
  plan.warmup_epochs = 10;
  const Schedule s(plan, 10, 8);
  EXPECT_DOUBLE_EQ(s.peak(), 1.5625e-3);
  EXPECT_DOUBLE_EQ(s.learning_rate(0), 0);
  EXPECT_DOUBLE_EQ(s.learning_rate(99), 1.5625e-3);  // end of warm-up
  EXPECT_DOUBLE_EQ(s.learning_rate(100), 1.5625e-3);
  EXPECT_NEAR(s.learning_rate(999), 1e-4, 1e-8);
  EXPECT_NEAR(s.weight_decay(500), 0.22, 1e-12);
  EXPECT_DOUBLE_EQ(s.ema_momentum(0), 0.996);
  EXPECT_NEAR(s.ema_momentum(999), 1.0, 1e-7);
}

TEST(Schedule, RunsForEpochsOrForSteps) {
  SchedulePlan plan;
  plan.epochs = 3;
  plan.warmup_steps = 0;
  EXPECT_EQ(Schedule(plan, 7, 256).steps(), 21);
  plan.steps = 10;
  const Schedule s(plan, 7, 256);
  EXPECT_EQ(s.steps(), 10);
  EXPECT_EQ(s.epochs(), 2);
  EXPECT_EQ(s.epoch_of(7), 1);
}

TEST(Schedule, ValidatesAtEpochEndsTheFirstIncludedAndAtTheEnd) {
  SchedulePlan plan;
  plan.epochs = 5;
  plan.warmup_steps = 0;
  plan.validate_every = 2;
  const Schedule s(plan, 3, 256);
  std::vector<std::int64_t> due;
  for (std::int64_t done = 0; done <= s.steps(); ++done) {
    if (s.validates_after(done)) due.push_back(done);
  }
  EXPECT_EQ(due, (std::vector<std::int64_t>{3, 9, 15}));
}

TEST(Schedule, RefusesAPeakBelowTheMinimumUnlessAllowed) {
  SchedulePlan plan;  // the README's command: the rate would rise (D29)
  plan.base_lr = 5e-5;
  EXPECT_THROW(Schedule(plan, 250, 64), Error);
  plan.allow_peak_below_min = true;
  EXPECT_DOUBLE_EQ(Schedule(plan, 250, 64).peak(), 1.25e-5);
}

TEST(Schedule, RefusesAWarmUpAsLongAsTheRunAndAnEmptyEpoch) {
  SchedulePlan plan;
  plan.epochs = 50;
  EXPECT_THROW(Schedule(plan, 10, 256), Error);
  EXPECT_THROW(Schedule(SchedulePlan{}, 0, 256), Error);
}

TEST(Schedule, WarmsUpFromAShareOfAConstantRate) {  // SAM's recipe
  SchedulePlan plan;
  plan.shape = "constant";
  plan.scale_lr = false;
  plan.base_lr = 0.02;
  plan.steps = 2000;
  plan.warmup_steps = 500;
  plan.warmup_from = 0.001;
  const Schedule s(plan, 100, 4);
  EXPECT_DOUBLE_EQ(s.learning_rate(0), 2e-5);
  EXPECT_DOUBLE_EQ(s.learning_rate(500), 0.02);
  EXPECT_DOUBLE_EQ(s.learning_rate(1999), 0.02);
}

}  // namespace
}  // namespace homolog::train
