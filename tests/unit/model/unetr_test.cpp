// UNETR: parameter counts, maps, masked voxels as zeros, parts that are not run, rows, refusals,
// recognition.
#include "model/backbones/unetr.h"

#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "model/backbone_entry.h"
#include "model/build_backbone.h"

namespace homolog::model::unetr {
namespace {

using backbone::Size3;
using backbone::View;
using backbone::Want;

Plan tiny(bool blocks = true) {
  return {.encoder = {.hidden = 64, .mlp = 32, .heads = 1},
          .feature = 2,
          .res_block = blocks,
          .conv_block = blocks};
}

backbone::NamedTensors state(const torch::nn::Module& module) {
  backbone::NamedTensors out;
  for (const auto& item : module.named_parameters()) out[item.key()] = item.value();
  return out;
}

std::int64_t count(const torch::nn::Module& module) {
  std::int64_t n = 0;
  for (const torch::Tensor& p : module.parameters()) n += p.numel();
  return n;
}

TEST(Unetr, HasMonaisNumberOfParameters) {
  EXPECT_EQ(count(Unetr({.outputs = 3}, {64, 64, 64})), 92'685'555);
  EXPECT_EQ(
      count(Unetr({.encoder = {.hidden = 48, .mlp = 96, .heads = 4}, .feature = 4, .outputs = 2},
                  {32, 32, 32})),
      600'490);
}

TEST(Unetr, GivesMapsOnUnequalSides) {
  for (const bool blocks : {true, false}) {
    Unetr network(tiny(blocks), {32, 16, 48});
    const auto out = network.run({torch::rand({2, 1, 32, 16, 48})}, {});
    EXPECT_EQ(out.cls_BC.sizes(), at::IntArrayRef({2, 64}));
    EXPECT_EQ(out.encoder_BLC.sizes(), at::IntArrayRef({2, 2 * 1 * 3, 64}));
    EXPECT_EQ(out.decoder_BLC.sizes(), at::IntArrayRef({2, 4 * 2 * 6, 16}));
    EXPECT_EQ(out.reconstruction_B1XYZ.sizes(), at::IntArrayRef({2, 1, 32, 16, 48}));
    EXPECT_EQ(network.spec().encoder_channels, 64);
    EXPECT_EQ(network.spec().decoder_channels, 16);
    EXPECT_FALSE(network.spec().drops_masked);
  }
}

TEST(Unetr, SeesMaskedVoxelsAsZeros) {
  const torch::NoGradGuard no_grad;
  Unetr network(tiny(), {32, 32, 32});
  View view{.image_B1XYZ = torch::rand({1, 1, 32, 32, 32}),
            .visible_B1XYZ = torch::ones({1, 1, 32, 32, 32}),
            .visible_share = 0.5};
  view.visible_B1XYZ.narrow(2, 0, 16).zero_();
  const auto masked = network.run(view, {});
  const auto zeros = network.run({view.image_B1XYZ * view.visible_B1XYZ}, {});
  EXPECT_TRUE(torch::equal(masked.encoder_BLC, zeros.encoder_BLC));
  EXPECT_TRUE(torch::equal(masked.reconstruction_B1XYZ, zeros.reconstruction_B1XYZ));
  EXPECT_FALSE(torch::allclose(masked.encoder_BLC, network.run({view.image_B1XYZ}, {}).encoder_BLC,
                               1e-4, 1e-5));
}

TEST(Unetr, GivesGradientsToExactlyTheParametersItCallsUsed) {
  for (const Want want : {Want{true, true}, {true, false}, {false, true}, {false, false}}) {
    Unetr network(tiny(), {32, 16, 16});
    const auto out = network.run({torch::rand({1, 1, 32, 16, 16})}, want);
    EXPECT_EQ(out.decoder_BLC.defined(), want.decoder);
    EXPECT_EQ(out.reconstruction_B1XYZ.defined(), want.reconstruction);
    torch::Tensor loss = out.cls_BC.square().sum();
    if (want.decoder) loss = loss + out.decoder_BLC.square().sum();
    if (want.reconstruction) loss = loss + out.reconstruction_B1XYZ.square().sum();
    loss.backward();
    for (const auto& item : network.named_parameters()) {
      EXPECT_EQ(item.value().grad().defined(), network.is_used(item.key(), want)) << item.key();
    }
  }
}

TEST(Unetr, ARowDoesNotDependOnTheOthers) {
  const torch::NoGradGuard no_grad;
  Unetr network(tiny(), {32, 16, 16});
  const torch::Tensor rows = torch::rand({3, 1, 32, 16, 16});
  const auto together = network.run({rows}, {}), alone = network.run({rows.slice(0, 2)}, {});
  EXPECT_TRUE(torch::allclose(together.encoder_BLC.slice(0, 2), alone.encoder_BLC, 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(together.reconstruction_B1XYZ.slice(0, 2), alone.reconstruction_B1XYZ,
                              1e-3, 1e-4));
}

TEST(Unetr, RefusesCropsAndHeadsThatDoNotFitByName) {
  const auto refusal = [](const Plan& plan, const Size3& crop) {
    try {
      Unetr network(plan, crop);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage);
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(refusal(tiny(), {32, 40, 32}).find("32x40x32"), std::string::npos);
  Plan plan = tiny();
  plan.encoder.heads = 7;
  EXPECT_NE(refusal(plan, {32, 32, 32}).find("model.unetr.heads"), std::string::npos);
}

TEST(Unetr, IsRecognisedFromItsNamesAndShapes) {
  const auto factory = backbone::find("unetr").factory();
  for (const bool blocks : {true, false}) {
    Plan plan = tiny(blocks);
    plan.encoder.qkv_bias = blocks;
    auto tensors = state(Unetr(plan, {32, 32, 32}));
    const auto found = factory->recognise(tensors);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->crop, (Size3{32, 32, 32}));
    const auto built = backbone::build(backbone::find("unetr"), found->options, found->crop);
    for (const auto& [name, value] : state(*built.network)) {
      ASSERT_TRUE(tensors.count(name) != 0U) << name;
      EXPECT_EQ(value.sizes(), tensors[name].sizes()) << name;
      tensors.erase(name);
    }
    EXPECT_TRUE(tensors.empty()) << tensors.begin()->first;
  }
  EXPECT_FALSE(backbone::find("vit").factory()->recognise(state(Unetr(tiny(), {32, 32, 32}))))
      << "its ViT lies under a name of its own";
}

TEST(Unetr, TellsHowMonaiBuildsIt) {
  const auto form = Unetr(tiny(false), {32, 16, 48}).monai();
  EXPECT_EQ(form.network, "UNETR");
  const auto arguments = nlohmann::json::parse(form.arguments);
  EXPECT_EQ(arguments.at("img_size"), nlohmann::json({32, 16, 48}));
  EXPECT_EQ(arguments.at("out_channels"), 1);
  EXPECT_EQ(arguments.at("feature_size"), 2);
  EXPECT_FALSE(arguments.at("res_block"));
}

}  // namespace
}  // namespace homolog::model::unetr
