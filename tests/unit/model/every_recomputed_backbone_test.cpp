// Every network of the catalogue with its blocks recomputed against itself with them kept: outputs
// bit for bit, gradients to the rounding of sums in another order, buffers, taps.
#include <gtest/gtest.h>

#include <cmath>

#include "model/moving_buffers.h"
#include "model/precision.h"
#include "tests/unit/model/backbone_claims.h"
#include "tests/unit/model/tiny_network.h"

namespace homolog::backbone {
namespace {

using model::Activations;
using model::Precision;
using tiny::Variant;

const std::vector<Size3> kCrops{{32, 16, 48}, {64, 32, 32}};

class EveryRecomputedBackbone : public ::testing::TestWithParam<const Entry*> {
 protected:
  template <class Claim>
  void hold(Claim&& claim) const {
    for (const Variant& variant : tiny::variants(*GetParam())) {
      SCOPED_TRACE(variant.name);
      claim(variant, tiny::crop_for(*variant.entry, variant.options, kCrops));
    }
  }
};

struct Outcome {
  Features features;
  std::map<std::string, torch::Tensor> gradients, buffers;
  std::map<std::string, int> taps;
};

// With stochastic depth, masks, in training mode.
Outcome run(Activations which, Variant variant, const Size3& crop, Precision precision,
            bool watched = false) {
  for (const auto& item : tiny::declared(*variant.entry).defaults)
    if (item.first.ends_with(".drop_path")) variant.options[item.first] = "0.5";
  const auto network = tiny::make(variant, crop);
  network->set_activations(which);
  network->set_draws(model::RowDraws(7, {model::row_key(1, 5, 0), model::row_key(2, 5, 0)}));
  Outcome out;
  if (watched) {
    network->set_tap([&out](const std::string& name, const torch::Tensor&) { ++out.taps[name]; });
  }
  torch::manual_seed(9);
  const View view = tiny::masked(2, crop, network->spec().mask_cell, 0.5);
  {
    const model::Autocast autocast(precision, at::kCPU);
    out.features = network->run(view, {});
  }
  torch::Tensor sum = torch::zeros({});
  for (const auto& [name, value] : outputs(out.features))
    sum = sum + value.to(torch::kFloat).square().mean();
  sum.backward();
  for (const auto& item : network->named_parameters())
    if (item.value().grad().defined()) out.gradients[item.key()] = item.value().grad();
  out.buffers = model::moving_buffers(*network);
  return out;
}

double size(const torch::Tensor& t) { return t.norm().item<double>(); }

void expect_same_but_gradients(const Outcome& kept, const Outcome& again) {
  expect_same(kept.features, again.features);
  ASSERT_EQ(kept.buffers.size(), again.buffers.size());
  for (const auto& [name, buffer] : kept.buffers)
    EXPECT_TRUE(torch::equal(buffer, again.buffers.at(name))) << name;
}

// Of all gradients together, as a share of `a`'s.
double apart(const Outcome& a, const Outcome& b) {
  double difference = 0, whole = 0;
  for (const auto& [name, g] : a.gradients) {
    difference += std::pow(size(g - b.gradients.at(name)), 2);
    whole += std::pow(size(g), 2);
  }
  return std::sqrt(difference / whole);
}

TEST_P(EveryRecomputedBackbone, HasTheOutputsAndGradientsOfThePlainOne) {
  hold([](const Variant& variant, const Size3& crop) {
    const Outcome kept = run(Activations::Kept, variant, crop, Precision::Float32);
    const Outcome again = run(Activations::Recomputed, variant, crop, Precision::Float32);
    expect_same_but_gradients(kept, again);
    double largest = 0;
    for (const auto& [name, g] : kept.gradients) largest = std::max(largest, size(g));
    ASSERT_EQ(kept.gradients.size(), again.gradients.size());
    for (const auto& [name, g] : kept.gradients) {
      ASSERT_TRUE(again.gradients.contains(name)) << name;
      EXPECT_LE(size(again.gradients.at(name) - g), 1e-5 * (size(g) + 1e-3 * largest)) << name;
    }
  });
}

// Sums of two gradients round in bf16; what a second pass in float32 would change is far more.
TEST_P(EveryRecomputedBackbone, HasThemInBf16Too) {
  const Variant variant = tiny::variants(*GetParam()).front();
  const Size3 crop = tiny::crop_for(*variant.entry, variant.options, kCrops);
  const Outcome kept = run(Activations::Kept, variant, crop, Precision::Bf16);
  const Outcome again = run(Activations::Recomputed, variant, crop, Precision::Bf16);
  expect_same_but_gradients(kept, again);
  const Outcome wide = run(Activations::Kept, variant, crop, Precision::Float32);
  printf("%s apart %.3e wide %.3e\n", GetParam()->name, apart(kept, again), apart(kept, wide));
  EXPECT_LE(apart(kept, again), 0.2 * apart(kept, wide));
}

TEST_P(EveryRecomputedBackbone, TrainsExactlyWhatItCallsUsed) {
  hold([](const Variant& variant, const Size3& crop) {
    const auto network = tiny::make(variant, crop);
    network->set_activations(Activations::Recomputed);
    for (const Want want : kEveryWant)
      expect_parts(*network, tiny::masked(2, crop, network->spec().mask_cell, 0.5), want);
  });
}

TEST_P(EveryRecomputedBackbone, ShowsEachResultOnce) {
  const Variant variant = tiny::variants(*GetParam()).front();
  const Size3 crop = tiny::crop_for(*variant.entry, variant.options, kCrops);
  const Outcome kept = run(Activations::Kept, variant, crop, Precision::Float32, true);
  EXPECT_FALSE(kept.taps.empty());
  EXPECT_EQ(run(Activations::Recomputed, variant, crop, Precision::Float32, true).taps, kept.taps);
}

INSTANTIATE_TEST_SUITE_P(Catalog, EveryRecomputedBackbone, ::testing::ValuesIn(catalog()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace homolog::backbone
