// Dice + cross entropy: value, Dice part and gradient of each case that the configuration lists.
#include <ATen/ATen.h>

#include "golden_kind.h"
#include "task/dice_ce.h"

namespace homolog::golden {
namespace {

using nlohmann::json;

task::DiceCeOptions options_of(const json& chosen) {
  task::DiceCeOptions o;
  o.activation = task::Activation::None;
  for (const auto& [key, value] : chosen.items()) {
    if (key == "softmax" && value) {
      o.activation = task::Activation::Softmax;
    } else if (key == "sigmoid" && value) {
      o.activation = task::Activation::Sigmoid;
    } else if (key == "include_background") {
      o.include_background = value;
    } else if (key == "squared_pred") {
      o.squared = value;
    } else if (key == "jaccard") {
      o.jaccard = value;
    } else if (key == "batch") {
      o.batch = value;
    } else if (key == "smooth_nr") {
      o.smooth_numerator = value;
    } else if (key == "smooth_dr") {
      o.smooth_denominator = value;
    } else if (key == "lambda_dice") {
      o.dice_weight = value;
    } else if (key == "lambda_ce") {
      o.cross_entropy_weight = value;
    } else if (key == "label_smoothing") {
      o.label_smoothing = value;
    } else if (key == "weight") {
      o.class_weights = value.get<std::vector<double>>();
    } else {  // to_onehot_y follows from the target's channels
      EXPECT_TRUE(key == "to_onehot_y" || value == false) << "unknown option " << key;
    }
  }
  return o;
}

void check(const Fixture& fixture) {
  const auto shape = fixture.config().at("logits").get<std::vector<std::int64_t>>();
  const at::Tensor labels = fixture.at("in.label"), many = input(2, shape) > 0.3;
  for (const auto& [name, chosen] : fixture.config().at("cases").items()) {
    const at::Tensor logits = input(0, shape, 0, 3).requires_grad_(true);
    const auto loss = task::dice_ce(logits, chosen.value("to_onehot_y", false) ? labels : many,
                                    options_of(chosen));
    loss.total.backward();
    fixture.expect(name + ".value", loss.total);
    fixture.expect(name + ".grad", logits.grad());
    if (fixture.has(name + ".dice_part")) fixture.expect(name + ".dice_part", loss.dice);
  }
}

const RegisterKind kKind({"Dice and cross entropy",
                          [](const Fixture& f) {
                            return f.config().contains("logits") && f.config().contains("cases") &&
                                   f.has("in.label");
                          },
                          check});

}  // namespace
}  // namespace homolog::golden
