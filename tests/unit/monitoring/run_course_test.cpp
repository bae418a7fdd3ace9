// How a run ended, from what its folder holds, and what its loss did on the way.
#include "monitoring/run_course.h"

#include <gtest/gtest.h>

#include <cmath>

#include "monitoring/loss_course.h"

namespace homolog::monitoring {
namespace {

WorkerEnd end_of(int rank, int code, int signal, bool told_to = false) {
  return {rank, true, code, signal, told_to, 10.0 + rank, ""};
}

TEST(Course, EveryEndHasItsState) {
  WorkerEnd silent{.rank = 0}, killed_on_request = end_of(1, 0, 9, true);
  struct {
    RunTrace trace;
    RunState expected;
  } const cases[] = {
      {{}, RunState::Waiting},
      {{60, 60, 60, {}, 900, 1}, RunState::Ended},
      {{60, 60, 60, {end_of(0, 0, 0)}, 1, 1}, RunState::Ended},
      {{30, 60, 30, {}, 900, 1}, RunState::Stopped},
      {{30, 60, 25, {end_of(0, 75, 0)}, 1, 1}, RunState::Stopped},
      {{30, 60, 25, {}, 900, 1}, RunState::Failed},
      {{30, 60, 30, {end_of(0, 4, 0)}, 900, 1}, RunState::Failed},
      {{59, 60, 49, {silent, killed_on_request}, 900, 1}, RunState::Failed},
      {{30, 60, 25, {end_of(0, 75, 0), killed_on_request}, 1, 1}, RunState::Stopped},
      {{30, 60, 25, {end_of(0, 0, 15, true), killed_on_request}, 1, 1}, RunState::Stopped},
      {{30, 60, 25, {end_of(0, 93, 0), end_of(1, 4, 0)}, 900, 1}, RunState::Failed},
      {{30, 60, 25, {end_of(0, 75, 0), silent}, 1, 1}, RunState::Running},
      {{30, 60, 25, {}, 10, 1}, RunState::Running},
      {{30, 60, 25, {}, 900, 100}, RunState::Running},
      {{30, 60, 25, {}, 900, 1, true}, RunState::Running},
      {{30, 60, 25, {}, 1, 1, false}, RunState::Failed},
  };
  for (std::size_t i = 0; i < std::size(cases); ++i) {
    const RunCourse course = course_of(cases[i].trace);
    EXPECT_STREQ(state_name(course.state), state_name(cases[i].expected))
        << "case " << i << ": " << course.message;
  }
}

TEST(Course, NamesTheRankThatFellFirstAndNotThoseThatWereTold) {
  const RunCourse course = course_of(
      {30, 60, 25, {end_of(0, 0, 15, true), end_of(1, 3, 0), end_of(2, 0, 9, true)}, 900, 1});
  ASSERT_TRUE(course.cause.has_value());
  EXPECT_EQ(course.cause->rank, 1);
  EXPECT_EQ(course.message, "Died after step 30 of 60: rank 1 ended with exit code 3.");
}

TEST(Course, AReasonOfItsOwnGoesBeforeAnEarlierComplaint) {
  const RunCourse course = course_of({30, 60, 25, {end_of(0, 4, 0), end_of(1, 3, 0)}, 900, 1});
  ASSERT_TRUE(course.cause.has_value());
  EXPECT_EQ(course.cause->rank, 1);
}

TEST(Course, AStopBeforeTheFirstCheckpointIsNoDeathAndSaysThatNothingIsSaved) {
  const RunCourse course = course_of({3, 60, -1, {end_of(0, 93, 0), end_of(1, 0, 9, true)}, 1, 1});
  EXPECT_STREQ(state_name(course.state), "stopped");
  EXPECT_FALSE(course.cause.has_value());
  EXPECT_EQ(course.message,
            "Stopped at step 3 of 60 before its first checkpoint; nothing is saved.");
}

LossCurve falling(int steps) {
  LossCurve curve;
  for (int i = 0; i < steps; ++i) {
    curve.steps.push_back(i);
    curve.total.push_back(10 - 5.0 * i / steps);
    curve.terms["inter"].push_back(5 - 3.0 * i / steps);
    curve.terms["intra"].push_back(5 - 2.0 * i / steps);
    curve.terms["acc"].push_back(0);
  }
  return curve;
}
const std::map<std::string, double> kChance = {{"inter", std::log(256)}, {"intra", std::log(256)}};

TEST(Loss, AFallingOneShowsNothing) {
  const LossCourse course = loss_course(falling(100), kChance);
  EXPECT_NEAR(course.first, 9.775, 1e-9);
  EXPECT_NEAR(course.last, 5.275, 1e-9);
  EXPECT_EQ(course.best_step, 99);
  EXPECT_EQ(course.spikes, 0);
  EXPECT_TRUE(course.collapsed.empty());
  EXPECT_TRUE(course.guessing.empty());
}

TEST(Loss, SpikesAreCountedAndTheLargestIsNamedWithItsTerm) {
  LossCurve curve = falling(100);
  curve.total[40] = 30, curve.terms["inter"][40] = 25;
  curve.total[60] = 80, curve.terms["intra"][60] = 77;
  curve.total[70] = NAN;  // skipped
  const LossCourse course = loss_course(curve, kChance);
  EXPECT_EQ(course.spikes, 2);
  EXPECT_EQ(course.spike_step, 60);
  EXPECT_DOUBLE_EQ(course.spike, 80);
  EXPECT_EQ(course.spike_term, "intra");
}

TEST(Loss, ATermAtZeroForLongHasCollapsedButNotOneThatBeginsLate) {
  LossCurve curve = falling(100);
  for (int i = 60; i < 100; ++i) curve.terms["intra"][static_cast<std::size_t>(i)] = 1e-12;
  for (int i = 0; i < 50; ++i) curve.terms["inter"][static_cast<std::size_t>(i)] = 0;
  const LossCourse course = loss_course(curve, {});
  ASSERT_EQ(course.collapsed.size(), 1u);
  EXPECT_EQ(course.collapsed[0].name, "intra");
  EXPECT_EQ(course.collapsed[0].steps, 40);
}

TEST(Loss, ATermThatGoesBackToGuessingIsNamed) {
  LossCurve curve = falling(100);
  for (int i = 80; i < 100; ++i) curve.terms["inter"][static_cast<std::size_t>(i)] = 5.8;
  const LossCourse course = loss_course(curve, kChance);
  ASSERT_EQ(course.guessing.size(), 1u);
  EXPECT_EQ(course.guessing[0].name, "inter");
  EXPECT_NEAR(course.guessing[0].last, 5.8, 1e-9);
}

}  // namespace
}  // namespace homolog::monitoring
