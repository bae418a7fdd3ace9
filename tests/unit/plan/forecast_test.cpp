// Times and warnings of plans whose work is written down by hand.
#include "cluster/plan/forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cluster/plan/plan_report.h"

namespace homolog::plan {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// Eight forwards of 227 GFLOP, in operators without traffic, or traffic without products.
StepWork products_of(double tflop) {
  StepWork w;
  w.parameters.trained = 9'730'000;
  w.operators = {{"conv", Pass::Target, tflop / 4 * 1e12, 0, true},
                 {"conv", Pass::Student, tflop / 4 * 1e12, 0, true},
                 {"conv", Pass::Backward, tflop / 2 * 1e12, 0, true}};
  w.memory.gradients = 38.9e6;
  w.last_bucket_bytes = 25e6;
  return w;
}
Question on(const char* device) {
  return {.device = device_named(device), .format = {.bf16 = true}};
}

TEST(StepSeconds, ProductsAloneReachThePublishedPairsPerSecond) {
  const StepSeconds s = step_seconds(products_of(1.816), device_named("h200"), {.bf16 = true}, 1);
  EXPECT_NEAR(1 / (s.target + s.student + s.backward), 435, 2);
}

TEST(StepSeconds, TrafficAloneReachesThePublishedPairsPerSecond) {
  StepWork w;  // twelve times 9.35 GB of saved activations, in float32
  w.operators = {{"norm", Pass::Backward, 0, 12 * 9.35e9, false}};
  const StepSeconds s = step_seconds(w, device_named("h200"), {.bf16 = true}, 1);
  EXPECT_NEAR(1 / s.backward, 77, 1);
}

TEST(StepSeconds, AnOperatorTakesTheLongerOfProductsAndTraffic) {
  StepWork w;
  w.operators = {{"a", Pass::Student, 791.2e12, 4.32e12, true}};
  const StepSeconds s = step_seconds(w, device_named("h200"), {.bf16 = true}, 1);
  EXPECT_NEAR(s.student, 1, 1e-3);
  EXPECT_NEAR(s.products, 1, 1e-3);
  EXPECT_NEAR(s.traffic, 0.5, 1e-3);
}

TEST(StepSeconds, TheUpdateReadsAndWritesFortyBytesAParameter) {
  StepWork w;
  w.parameters.trained = w.parameters.target = 72'800'000;
  EXPECT_NEAR(step_seconds(w, device_named("h200"), {}, 1).update, 0.68e-3, 0.02e-3);
}

TEST(StepSeconds, AccumulationRepeatsThePassesButNotTheUpdate) {
  const StepWork w = products_of(1);
  const StepSeconds once = step_seconds(w, device_named("a100"), {}, 1),
                    four = step_seconds(w, device_named("a100"), {}, 4);
  EXPECT_NEAR(four.backward, 4 * once.backward, 1e-12);
  EXPECT_EQ(four.update, once.update);
}

TEST(Forecast, SaysThatABatchIsFarBelowTheRecipes) {
  Question q = on("h200");
  q.recipe_batch = 8;
  q.accumulate = 2;
  const Forecast f = forecast(products_of(1.8), q);
  EXPECT_EQ(f.global_batch, 2);
  EXPECT_THAT(f.warnings, ElementsAre(testing::AllOf(HasSubstr("data.accumulate = 8"),
                                                     HasSubstr("the peak rate follows"))));
  q.rate_follows_batch = false;
  EXPECT_THAT(forecast(products_of(1.8), q).warnings,
              ElementsAre(HasSubstr("the peak rate stays")));
  q.per_node = 2;
  EXPECT_THAT(forecast(products_of(1.8), q).warnings, IsEmpty());
}

TEST(Forecast, SaysThatMemoryDoesNotSuffice) {
  StepWork w = products_of(1.8);
  w.memory.saved = w.memory.peak = 200e9;
  Question q = on("h200");
  EXPECT_TRUE(forecast(w, q).memory.fits());  // halved
  q.format.bf16 = false;
  const Forecast f = forecast(w, q);
  EXPECT_FALSE(f.memory.fits());
  EXPECT_THAT(f.warnings,
              ElementsAre(testing::AllOf(HasSubstr("lower data.batch"),
                                         HasSubstr("cluster.activation_checkpoint = true"))));
  q.recomputes = true;
  EXPECT_THAT(forecast(w, q).warnings, ElementsAre(Not(HasSubstr("activation_checkpoint"))));
}

TEST(Forecast, RowsDoubleUpToThePlan) {
  Question q = on("h200");
  q.nodes = 6, q.per_node = 8;
  std::vector<std::int64_t> workers;
  for (const ScalingRow& row : forecast(products_of(1.8), q).rows) workers.push_back(row.workers);
  EXPECT_THAT(workers, ElementsAre(1, 8, 16, 32, 48));
}

TEST(Forecast, AMeasuredStepReplacesTheModelled) {
  Question q = on("cpu");
  q.steps = 3600;
  q.probe = Probe{.step = 2, .spread = 0.1, .data_wait = 0, .steps = 20, .where = "cpu"};
  const StepWork w = products_of(1.8);
  const Forecast f = forecast(w, q);
  EXPECT_EQ(f.step, 2);
  EXPECT_NEAR(f.hours, 2, 1e-9);
  EXPECT_THAT(plan_text(w, q, f), HasSubstr("MEASURED"));
  EXPECT_EQ(plan_json(w, q, f)["step_is"], "measured");
}

TEST(Forecast, WarnsOfAProbeOnAnotherKindOfDevice) {
  const StepWork w = products_of(1.8);
  Question q = on("h100");
  q.probe = Probe{.step = 2, .spread = 0.1, .data_wait = 0, .steps = 20, .where = "cpu"};
  EXPECT_THAT(forecast(w, q).warnings, Contains(HasSubstr("ran on a CPU, not on a h100")));
  q.probe->where = "cuda";
  EXPECT_THAT(forecast(w, q).warnings, Not(Contains(HasSubstr("ran on a"))));
}

TEST(Forecast, NamesTheProductsThatTheDeviceHas) {
  const StepWork w = products_of(1.8);
  for (const auto& [device, words] :
       {std::pair{"h200", "float32 (TF32 products)"}, std::pair{"v100", "float32\n"},
        std::pair{"cpu", "float32\n"}}) {
    const Question q{.device = device_named(device)};
    EXPECT_THAT(plan_text(w, q, forecast(w, q)), HasSubstr(words)) << device;
  }
}

TEST(Forecast, HoursCountEveryDevice) {
  Question q = on("h200");
  q.nodes = 2, q.per_node = 8, q.steps = 100000;
  const Forecast f = forecast(products_of(1.8), q);
  EXPECT_NEAR(f.device_hours, 16 * f.hours, 1e-9);
  EXPECT_NEAR(f.hours, 100000 * f.rows.back().scaling.step / 3600, 1e-9);
}

TEST(Hardware, IsNamedInSmallOrLargeLetters) { EXPECT_STREQ(device_named("H200").name, "h200"); }

TEST(Hardware, AnUnknownDeviceIsRefusedWithTheKnownOnes) {
  try {
    device_named("h20");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
    EXPECT_THAT(e.what(), HasSubstr("did you mean h200?"));
    EXPECT_THAT(e.what(), HasSubstr("a100, a100-40"));
  }
}

}  // namespace
}  // namespace homolog::plan
