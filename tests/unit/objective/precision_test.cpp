// bf16: networks compute in it, whatever a softmax, a loss or a centre reads is float32, weights
// and gradients are float32, no cast of a weight outlives its pass.
#include "model/precision.h"

#include <ATen/autocast_mode.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "model/casa.h"
#include "model/head.h"
#include "tests/unit/model/operators_watched.h"
#include "tests/unit/objective/tiny_alice.h"

namespace homolog::objective {
namespace {

using namespace tiny;
using model::Autocast;
using model::Precision;

constexpr backbone::Size3 kCrop{32, 32, 16};

std::unique_ptr<Objective> make_bf16(const Settings& extra = {},
                                     const std::string& network = "nnformer",
                                     const backbone::Size3& crop = kCrop) {
  auto alice = make(extra, network, crop);
  alice->set_precision(Precision::Bf16);
  return alice;
}

bool is_bf16(const torch::Tensor& t) { return t.scalar_type() == torch::kBFloat16; }

TEST(Precision, OtherDevicesAreRefusedByName) {
  EXPECT_NO_THROW(model::require_precision(Precision::Bf16, torch::kCPU));
  EXPECT_NO_THROW(model::require_precision(Precision::Bf16, torch::Device(torch::kCUDA, 0)));
  EXPECT_NO_THROW(model::require_precision(Precision::Float32, torch::kMeta));
  try {
    model::require_precision(Precision::Bf16, torch::kMeta);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
    EXPECT_NE(std::string(e.what()).find("meta"), std::string::npos);
  }
}

TEST(Precision, AGuardEndsWithTheModeAndTheCastsThatItBegan) {
  const torch::Tensor weight = torch::ones({4, 4}, torch::requires_grad()), x = torch::ones({2, 4});
  {
    const torch::NoGradGuard no_grad;
    const Autocast pass(Precision::Bf16, torch::kCPU);
    EXPECT_TRUE(is_bf16(at::linear(x, weight)));
    const model::WithoutAutocast inner;
    EXPECT_FALSE(is_bf16(at::linear(x, weight)));
  }
  EXPECT_FALSE(at::autocast::is_autocast_enabled(torch::kCPU));
  EXPECT_FALSE(is_bf16(at::linear(x, weight)));
  {
    const torch::NoGradGuard no_grad;
    weight.fill_(3);  // a kept cast would still hold ones, and no gradient
  }
  torch::Tensor y;
  {
    const Autocast pass(Precision::Bf16, torch::kCPU);
    y = at::linear(x, weight);
  }
  EXPECT_EQ(y[0][0].item<float>(), 12);
  y.to(torch::kFloat).sum().backward();
  ASSERT_TRUE(weight.grad().defined());
  EXPECT_FALSE(is_bf16(weight.grad()));
  {
    const Autocast nothing(Precision::Float32, torch::kCPU);
    EXPECT_FALSE(is_bf16(at::linear(x, weight)));
  }
}

TEST(Precision, AnInnerPassWithGradientsDoesNotMeetCastsOfAnOuterOneWithout) {
  const torch::Tensor weight = torch::ones({4, 4}, torch::requires_grad()), x = torch::ones({2, 4});
  const Autocast outer(Precision::Bf16, torch::kCPU);
  {
    const torch::NoGradGuard no_grad;
    at::linear(x, weight);
  }
  const Autocast inner(Precision::Bf16, torch::kCPU);
  EXPECT_TRUE(at::linear(x, weight).requires_grad());
}

TEST(Precision, HeadAndCasaGiveFloat32WhateverTheirInput) {
  model::ProjectionHead head(model::HeadPlan{
      .encoder_channels = 12, .decoder_channels = 8, .hidden = 16, .outputs = 24, .bottleneck = 8});
  for (const bool zeta : {true, false}) {
    model::Casa casa(
        model::CasaPlan{.width = 24, .heads = 2, .head_width = 8, .hidden = 32, .zeta = zeta});
    const Autocast pass(Precision::Bf16, torch::kCPU);
    const auto narrow = [](at::IntArrayRef shape) { return torch::rand(shape).to(at::kBFloat16); };
    const auto out =
        head(backbone::Features{narrow({2, 12}), narrow({2, 3, 12}), narrow({2, 5, 8}), {}}, true);
    for (const auto& t : {out.cls_BD, out.encoder_BLD, out.decoder_BLD}) EXPECT_FALSE(is_bf16(t));
    const model::RowDraws draws(1, {1, 2});
    const auto queries = casa->project_queries(out.encoder_BLD);
    EXPECT_TRUE(is_bf16(queries));
    for (const auto* dropout : {&draws, static_cast<const model::RowDraws*>(nullptr)})
      EXPECT_FALSE(is_bf16(casa->align(out.encoder_BLD, queries, out.decoder_BLD, dropout)));
  }
}

class EachNetwork : public ::testing::TestWithParam<const backbone::Entry*> {};

TEST_P(EachNetwork, ComputesInBf16AndTrainsFloat32WeightsOnFloat32Losses) {
  // As few voxels as there can be: where a CPU emulates bf16, a wide ResNet is slow.
  const backbone::Size3 crop = crop_of(*GetParam(), {32, 16, 16});
  const auto alice = make_bf16({"objective.alice.mask_ratio=0.5"}, GetParam()->name, crop);
  const Views views = make_views({1}, crop);
  const OperatorsWatched watched;
  const Loss loss = alice->evaluate(views, {.step = 3});
  EXPECT_TRUE(watched.gave("linear", at::kBFloat16) || watched.gave("conv", at::kBFloat16));
  for (const char* wide : {"softmax", "mse_loss", "argmax"}) {
    EXPECT_TRUE(watched.gave(wide, at::kFloat)) << wide;
    EXPECT_FALSE(watched.gave(wide, at::kBFloat16)) << wide;
  }
  EXPECT_EQ(loss.total.scalar_type(), torch::kFloat);
  EXPECT_EQ(loss.statistics.scalar_type(), torch::kFloat);
  for (const auto& term : loss.terms) EXPECT_EQ(term.value.scalar_type(), torch::kFloat);
  loss.total.backward();
  for (const auto& item : alice->online().named_parameters()) {
    EXPECT_EQ(item.value().scalar_type(), torch::kFloat) << item.key();
    const torch::Tensor gradient = item.value().grad();
    ASSERT_EQ(gradient.defined(), alice->rule(item.key(), item.value()).trained) << item.key();
    if (!gradient.defined()) continue;
    EXPECT_EQ(gradient.scalar_type(), torch::kFloat) << item.key();
    EXPECT_TRUE(torch::isfinite(gradient).all().item<bool>()) << item.key();
  }
  EXPECT_FALSE(at::autocast::is_autocast_enabled(torch::kCPU));
}

INSTANTIATE_TEST_SUITE_P(Networks, EachNetwork, ::testing::ValuesIn(backbone::catalog()),
                         [](const auto& info) { return std::string(info.param->name); });

// Totals of five plain steps of gradient descent, and the weights behind them.
std::vector<double> five_steps(Objective& alice, torch::Tensor& weights) {
  std::vector<double> totals;
  for (std::int64_t step = 0; step < 5; ++step) {
    const Loss loss = alice.evaluate(make_views({1, 2}, kCrop), {.step = step, .seed = 9});
    totals.push_back(loss.total.item<double>());
    loss.total.backward();
    const torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> all;
    for (auto& p : alice.online().parameters()) {
      if (p.grad().defined()) {
        p.sub_(p.grad(), 1e-3);
        p.mutable_grad().reset();
      }
      all.push_back(p.flatten());
    }
    weights = torch::cat(all);
    alice.absorb(loss.statistics, 1);
  }
  return totals;
}

TEST(Precision, FiveStepsAreNearThoseInFloat32AndRepeatBitForBit) {
  torch::Tensor wide, narrow, again;
  const auto a = five_steps(*make({}, "nnformer", kCrop), wide),
             b = five_steps(*make_bf16(), narrow), c = five_steps(*make_bf16(), again);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 0.05 * a[i]) << i;
  EXPECT_NE(a, b);
  EXPECT_EQ(b, c);
  EXPECT_TRUE(torch::equal(narrow, again));
  const double distance = ((wide - narrow).norm() / wide.norm()).item<double>();
  EXPECT_GT(distance, 0);
  EXPECT_LT(distance, 0.02);
}

TEST(Precision, ValidationComputesInItTooAndKeepsCentresFloat32) {
  const auto alice = make_bf16();
  const Views views = make_views({1, 2}, kCrop);
  const Loss loss = alice->evaluate(views, {.step = 3, .training = false});
  EXPECT_NE(loss.total.item<double>(), make({}, "nnformer", kCrop)
                                           ->evaluate(views, {.step = 3, .training = false})
                                           .total.item<double>());
  alice->absorb(alice->evaluate(views, {.step = 3}).statistics, 1);
  for (const auto& [name, centre] : alice->state())
    EXPECT_EQ(centre.scalar_type(), torch::kFloat) << name;
}

TEST(Precision, ManyRanksWithOnePairEachStayNearOneWithAll) {  // P9
  const auto alice = make_bf16();
  const StepInfo info{.step = 3, .seed = 9};
  const auto at = [&](const std::vector<std::uint64_t>& ids) {
    return alice->evaluate(make_views(ids, kCrop), info);
  };
  const Loss both = at({1, 2}), a = at({1}), b = at({2});
  EXPECT_NEAR(both.total.item<double>(), 0.5 * (a.total + b.total).item<double>(),
              0.02 * both.total.item<double>());
}

Views sam_views() {
  Views views;
  views.ids = {7};
  torch::manual_seed(3);
  for (const std::string name : {"first", "second"}) {
    views.tensors[name + "_B1ZYX"] = torch::rand({1, 1, 8, 32, 32});
    views.tensors[name + "_valid_B1ZYX"] = torch::ones({1, 1, 8, 32, 32});
    const auto axis = [](std::int64_t n) { return torch::arange(n).to(torch::kFloat) * 2; };
    const auto mesh = torch::meshgrid({axis(8), axis(32), axis(32)}, "ij");
    views.tensors[name + "_grid_B3ZYX"] = torch::stack({mesh[2], mesh[1], mesh[0]}).unsqueeze(0);
  }
  return views;
}

TEST(Precision, SamEmbedsInBf16AndComparesInFloat32) {
  const auto loss = [](Precision precision) {
    Options options("test", "", "");
    const auto factory = find("sam").factory();
    factory->declare(options);
    const char* words[] = {"test", "--set", "objective.sam.width=8", "--set",
                           "objective.sam.embedding=16"};
    options.parse(5, words);
    torch::manual_seed(5);
    const auto sam = factory->make(*backbone::find("nnformer").factory(), {});
    sam->set_precision(precision);
    const Loss out = sam->evaluate(sam_views(), {});
    EXPECT_EQ(out.total.scalar_type(), torch::kFloat);
    out.total.backward();
    for (const auto& p : sam->online().parameters()) {
      EXPECT_EQ(p.grad().scalar_type(), torch::kFloat);
      EXPECT_TRUE(torch::isfinite(p.grad()).all().item<bool>());
    }
    return out.total.item<double>();
  };
  const double wide = loss(Precision::Float32), narrow = loss(Precision::Bf16);
  EXPECT_NE(wide, narrow);
  EXPECT_NEAR(wide, narrow, 0.05 * wide);
}

}  // namespace
}  // namespace homolog::objective
