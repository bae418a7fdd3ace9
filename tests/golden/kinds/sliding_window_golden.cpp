// Sliding windows: order, weights and blended result of each case that the configuration lists.
#include <ATen/ATen.h>

#include <algorithm>

#include "golden_kind.h"
#include "task/sliding_window.h"

namespace homolog::golden {
namespace {

using nlohmann::json;
using task::Size3;

std::array<double, 3> three_of(const json& value) {
  if (value.is_array()) return value.get<std::array<double, 3>>();
  return {value.get<double>(), value.get<double>(), value.get<double>()};
}

task::SlidingWindowPlan plan_of(const json& config, const json& chosen) {
  task::SlidingWindowPlan plan;
  plan.window = config.at("roi").get<Size3>();
  plan.windows_at_once = config.at("sw_batch");
  plan.overlap = three_of(chosen.at("overlap"));
  EXPECT_TRUE(chosen.at("mode") == "gaussian" || chosen.at("mode") == "constant");
  plan.blend = chosen.at("mode") == "gaussian" ? task::Blend::Gaussian : task::Blend::Constant;
  if (chosen.contains("sigma_scale")) plan.sigma = three_of(chosen.at("sigma_scale"));
  return plan;
}

at::Tensor starts_of(const std::vector<std::int64_t>& shape, const task::SlidingWindowPlan& plan) {
  Size3 padded{};
  for (std::size_t a = 0; a < 3; ++a) padded[a] = std::max(shape[a + 2], plan.window[a]);
  std::vector<std::int64_t> flat;
  for (const Size3& start : task::window_starts(padded, plan)) {
    flat.insert(flat.end(), start.begin(), start.end());
  }
  return at::tensor(flat).view({-1, 3});
}

void check(const Fixture& fixture) {
  const json& config = fixture.config();
  const auto roi = config.at("roi").get<std::vector<std::int64_t>>();
  const at::Tensor a = input(20, roi), b = input(21, roi);
  const task::Predictor predictor = [&](const at::Tensor& w) {
    return at::cat({w * (1 + 0.5 * a), w.tanh() + b}, 1);
  };
  for (const auto& [name, chosen] : config.at("cases").items()) {
    const auto plan = plan_of(config, chosen);
    const auto shape = chosen.at("shape").get<std::vector<std::int64_t>>();
    fixture.expect(name + ".out", task::slide(input(22, shape), predictor, plan));
    fixture.expect(name + ".starts", starts_of(shape, plan));
  }
  const auto weights = [](const Size3& window, double sigma) {
    task::SlidingWindowPlan plan;
    plan.window = window, plan.sigma = {sigma, sigma, sigma};
    return task::window_weights(plan);
  };
  const Size3 window{roi[0], roi[1], roi[2]};
  for (const double sigma : {0.125, 0.25}) {
    const std::string name = sigma < 0.2 ? "importance_0.125" : "importance_0.25";
    if (fixture.has(name)) fixture.expect(name, weights(window, sigma));
  }
  if (fixture.has("importance_rect")) {
    fixture.expect("importance_rect", weights({8, 6, 10}, 0.125));
  }
}

const RegisterKind kKind({"sliding window",
                          [](const Fixture& f) {
                            return f.config().contains("roi") && f.config().contains("sw_batch");
                          },
                          check});

}  // namespace
}  // namespace homolog::golden
