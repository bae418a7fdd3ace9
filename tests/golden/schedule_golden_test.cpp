// Learning rate, decay and EMA momentum against the reference's tables (f6).
#include <gtest/gtest.h>

#include "golden_fixture.h"
#include "train/schedule.h"

namespace homolog::golden {
namespace {

void compare(const Fixture& fixture, const std::string& name) {
  const auto config = fixture.config().at(name);
  train::SchedulePlan plan;
  plan.epochs = config.at("epochs");
  plan.warmup_epochs = config.at("warmup_epochs").get<double>();
  plan.base_lr = config.at("lr");
  plan.min_lr = config.at("lr_min");
  plan.weight_decay_from = config.at("wd")[0];
  plan.weight_decay_to = config.at("wd")[1];
  plan.ema_from = config.at("ema")[0];
  plan.ema_to = config.at("ema")[1];
  plan.allow_peak_below_min = true;
  const std::int64_t global =
      config.at("batch").get<std::int64_t>() * config.at("world").get<std::int64_t>();
  const train::Schedule schedule(plan, config.at("iters_per_epoch"), global);
  EXPECT_DOUBLE_EQ(schedule.peak(), config.at("lr_peak").get<double>());
  std::vector<double> lr, wd, ema, sums(3, 0.0);
  const torch::Tensor index = fixture.at(name + ".index");
  for (std::int64_t i = 0; i < index.numel(); ++i) {
    const auto step = index[i].item<std::int64_t>();
    lr.push_back(schedule.learning_rate(step));
    wd.push_back(schedule.weight_decay(step));
    ema.push_back(schedule.ema_momentum(step));
  }
  for (std::int64_t step = 0; step < schedule.steps(); ++step) {
    sums[0] += schedule.learning_rate(step);
    sums[1] += schedule.weight_decay(step);
    sums[2] += schedule.ema_momentum(step);
  }
  fixture.expect(name + ".lr", torch::tensor(lr, torch::kDouble));
  fixture.expect(name + ".wd", torch::tensor(wd, torch::kDouble));
  fixture.expect(name + ".ema", torch::tensor(ema, torch::kDouble));
  fixture.expect(name + ".sums", torch::tensor(sums, torch::kDouble));
}

TEST(ScheduleGolden, AgreesWithTheReferenceAtEveryRecordedIteration) {
  const auto fixture = Fixture::open("f6_schedules");
  if (!fixture) GTEST_SKIP() << "f6_schedules.safetensors is missing: set HOMOLOG_GOLDENS";
  for (const char* name : {"small", "default", "readme"}) {
    SCOPED_TRACE(name);
    compare(*fixture, name);
  }
}

}  // namespace
}  // namespace homolog::golden
