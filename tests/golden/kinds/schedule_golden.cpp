// Learning rate, weight decay, EMA momentum and target temperatures against the reference's tables.
#include "golden_kind.h"
#include "objective/alice_loss.h"
#include "train/schedule.h"

namespace homolog::golden {
namespace {

using nlohmann::json;

torch::Tensor doubles(const std::vector<double>& values) {
  return torch::tensor(values, torch::kDouble);
}

train::SchedulePlan plan_of(const json& c) {
  train::SchedulePlan plan;
  plan.epochs = c.at("epochs");
  plan.warmup_epochs = c.at("warmup_epochs").get<double>();
  plan.base_lr = c.at("lr");
  plan.min_lr = c.at("lr_min");
  plan.weight_decay_from = c.at("wd").at(0);
  plan.weight_decay_to = c.at("wd").at(1);
  plan.ema_from = c.at("ema").at(0);
  plan.ema_to = c.at("ema").at(1);
  plan.allow_peak_below_min = true;
  return plan;
}

void check_rates(const Fixture& fixture, const std::string& name, const json& c) {
  const std::int64_t global = c.at("batch").get<std::int64_t>() * c.at("world").get<std::int64_t>();
  const train::Schedule schedule(plan_of(c), c.at("iters_per_epoch"), global);
  EXPECT_DOUBLE_EQ(schedule.peak(), c.at("lr_peak").get<double>());
  std::vector<double> lr, wd, ema, sums(3, 0.0);
  const torch::Tensor index = fixture.given(name + ".index");
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
  fixture.expect(name + ".lr", doubles(lr));
  fixture.expect(name + ".wd", doubles(wd));
  fixture.expect(name + ".ema", doubles(ema));
  fixture.expect(name + ".sums", doubles(sums));
}

void check_temperatures(const Fixture& fixture, const std::string& name, const json& c) {
  objective::alice::LossPlan plan;
  plan.target_temperature_start = c.at("warmup_temp");
  plan.target_temperature = c.at("temp");
  plan.temperature_epochs = c.at("warmup_epochs");
  plan.intra_start_epoch = c.at("mim_start_epoch");
  std::vector<double> cls, patch;
  for (std::int64_t epoch = 0; epoch < c.at("epochs").get<std::int64_t>(); ++epoch) {
    cls.push_back(target_temperature(plan, epoch));
    patch.push_back(target_temperature(plan, epoch, plan.intra_start_epoch));
  }
  fixture.expect(name + ".cls", doubles(cls));
  fixture.expect(name + ".patch", doubles(patch));
}

bool is_schedule(const Fixture& fixture) {
  if (fixture.config().empty()) return false;
  for (const auto& item : fixture.config().items()) {
    const json& c = item.value();
    if (!c.is_object() || (!c.contains("lr_peak") && !c.contains("warmup_temp"))) return false;
  }
  return true;
}

const RegisterKind registered({"schedules", is_schedule, [](const Fixture& f) {
                                 for (const auto& [name, c] : f.config().items()) {
                                   SCOPED_TRACE(name);
                                   if (c.contains("warmup_temp"))
                                     check_temperatures(f, name, c);
                                   else
                                     check_rates(f, name, c);
                                 }
                               }});

}  // namespace
}  // namespace homolog::golden
