// A whole step counted: parameters as the engine's arena has them, passes by kind, batches, and
// what happens to objectives that look at values.
#include "census/step_census.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <numeric>

#include "base/options.h"
#include "objective/objective_entry.h"
#include "train/gradient_arena.h"

namespace homolog::census {
namespace {

using testing::HasSubstr;

constexpr backbone::Size3 kCrop{64, 64, 64};

std::unique_ptr<objective::Objective> small_alice() {
  const auto backbone = backbone::find("nnformer").factory();
  const auto factory = objective::find("alice").factory();
  Options options("test", "", "");
  backbone->declare(options);
  factory->declare(options);
  const char* words[] = {"test",    "--model.nnformer.embed",
                         "12",      "--model.nnformer.heads",
                         "1,2,4,8", "--objective.alice.hidden",
                         "64",      "--objective.alice.bottleneck",
                         "32",      "--objective.alice.outputs",
                         "48",      "--objective.alice.casa_heads",
                         "2",       "--objective.alice.casa_head_width",
                         "8",       "--objective.alice.casa_hidden",
                         "64"};
  options.parse(static_cast<int>(std::size(words)), words);
  return factory->make(*backbone, kCrop);
}

objective::Views views(std::int64_t batch, const torch::Device& device) {
  objective::Views out;
  for (const char* name : {"query_B1XYZ", "key_B1XYZ", "target_query_B1XYZ", "target_key_B1XYZ"})
    out.tensors[name] = torch::zeros({batch, 1, kCrop[0], kCrop[1], kCrop[2]},
                                     torch::TensorOptions().device(device));
  out.ids.resize(static_cast<std::size_t>(batch));
  std::iota(out.ids.begin(), out.ids.end(), 0);
  return out;
}

StepSetup setup(std::int64_t batch = 1) {
  StepSetup out{.objective = small_alice, .views = views, .plan = {}};
  out.plan.batch = batch;
  return out;
}

TEST(StepCensus, ParametersAreThoseOfTheEnginesArena) {
  const plan::StepWork w = count_step(setup());
  EXPECT_THAT(w.source, HasSubstr("without values"));
  EXPECT_THAT(w.source, testing::StartsWith("counted: "));
  const auto real = small_alice();
  train::GradientArena arena(*real, 25 << 20, 2);
  std::int64_t trained = 0, target = 0;
  for (const auto& slot : arena.slots()) {
    trained += slot.count;
    if (slot.target_begin >= 0) target += slot.count;
  }
  EXPECT_EQ(w.parameters.trained, trained);
  EXPECT_EQ(w.parameters.target, target);
  EXPECT_EQ(w.memory.weights, static_cast<double>(arena.size()) * 4);
  EXPECT_EQ(w.memory.moments, static_cast<double>(arena.size()) * 8);
  EXPECT_EQ(w.memory.target, static_cast<double>(arena.target().numel()) * 4);
  EXPECT_EQ(w.parameters.exported, "backbone");
  std::int64_t parts = 0;
  for (const auto& [name, count] : w.parameters.parts) parts += count;
  EXPECT_EQ(parts, trained);
  // Weights, target and two moments, and what is counted in bytes of few.
  EXPECT_GT(w.checkpoint_bytes, 4.0 * static_cast<double>(3 * trained + target));
  EXPECT_LT(w.checkpoint_bytes, 1.1 * 4.0 * static_cast<double>(3 * trained + target));
}

TEST(StepCensus, EachPassHasItsShareOfTheWork) {
  const plan::StepWork w = count_step(setup());
  const double target = totals(w, plan::Pass::Target).flops,
               student = totals(w, plan::Pass::Student).flops,
               backward = totals(w, plan::Pass::Backward).flops;
  EXPECT_GT(target, 0);
  EXPECT_GT(student, target);  // the decoder as well
  EXPECT_NEAR(backward / student, 2.1, 0.2);
  EXPECT_GT(w.memory.saved, 0);
  EXPECT_GE(w.memory.peak, w.memory.saved);
  EXPECT_EQ(w.memory.inputs, 4.0 * 64 * 64 * 64 * 4);
}

TEST(StepCensus, AnActivationCheckpointTakesMemoryFromTheStepAndGivesBackwardAForward) {
  StepSetup s = setup();
  const plan::StepWork kept = count_step(s);
  s.plan.activation_checkpoint = true;
  const plan::StepWork again = count_step(s);
  EXPECT_LT(again.memory.saved, 0.6 * kept.memory.saved);
  EXPECT_LT(again.memory.peak, 0.8 * kept.memory.peak);
  const auto flops = [](const plan::StepWork& w, plan::Pass pass) { return totals(w, pass).flops; };
  using plan::Pass;
  EXPECT_EQ(flops(again, Pass::Target), flops(kept, Pass::Target));
  EXPECT_EQ(flops(again, Pass::Student), flops(kept, Pass::Student));
  const double more = flops(again, Pass::Backward) - flops(kept, Pass::Backward);
  EXPECT_NEAR(more / flops(kept, Pass::Student), 0.95, 0.1);
}

TEST(StepCensus, ABatchTwiceAsLargeCostsTwiceAsMuch) {
  const plan::StepWork one = count_step(setup(1)), two = count_step(setup(2));
  EXPECT_NEAR(totals(two).flops / totals(one).flops, 2, 0.01);
  EXPECT_GT(two.memory.saved / one.memory.saved, 1.7);  // shift masks and biases are shared
  EXPECT_LT(two.memory.saved / one.memory.saved, 2);
  EXPECT_EQ(two.parameters.trained, one.parameters.trained);
  EXPECT_EQ(two.batch, 2);
}

// Branches on the value of its loss.
class Reader final : public objective::Objective {
 public:
  torch::nn::Module& online() override { return *net_; }
  torch::nn::Module* target() override { return nullptr; }
  std::string exported_prefix() const override { return ""; }
  bool is_exported(const std::string&) const override { return true; }
  objective::Loss evaluate(const objective::Views& v, const objective::StepInfo&) override {
    const torch::Tensor y = net_(v.at("query_B1XYZ").flatten(1)).sum();
    return {y.item<float>() > 0 ? y : -y, {}, {}};
  }

 private:
  torch::nn::Linear net_{64 * 64 * 64, 2};
};

TEST(StepCensus, AnObjectiveThatReadsValuesIsRunForRealAndScaled) {
  StepSetup s = setup(4);
  s.objective = [] { return std::make_unique<Reader>(); };
  const plan::StepWork w = count_step(s);
  EXPECT_THAT(w.source, HasSubstr("run on this CPU"));
  EXPECT_EQ(w.batch, 4);
  const double forward = 4 * 2.0 * 64 * 64 * 64 * 2;
  EXPECT_NEAR(totals(w, plan::Pass::Student).flops / forward, 1, 1e-9);
  EXPECT_NEAR(totals(w, plan::Pass::Backward).flops / forward, 1,
              1e-9);  // no gradient of the input
}

}  // namespace
}  // namespace homolog::census
