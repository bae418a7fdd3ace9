// ViT's own: what is seen equals attention without the masked keys, masks, refusals, options told
// from weights, MONAI's form. The rest: every_backbone_test.
#include "model/backbones/vit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "model/parameter_names.h"
#include "tests/unit/model/backbone_claims.h"
#include "tests/unit/model/tiny_network.h"

namespace homolog::model::vit {
namespace {

using backbone::Size3;
using backbone::View;
using backbone::tiny::count_parameters;
using backbone::tiny::refusal;
using ::testing::HasSubstr;

constexpr Size3 kCrop{32, 16, 24};  // 4 x 2 x 3 patches

Plan tiny(bool cls_token = false) {
  return {
      .encoder =
          {.patch = 8, .hidden = 24, .mlp = 32, .layers = 2, .heads = 3, .cls_token = cls_token},
      .decoder = {.width = 20, .layers = 2, .heads = 2}};
}

torch::Tensor image(std::int64_t rows, const Size3& crop = kCrop) {
  return backbone::tiny::image(rows, crop);
}

// A quarter of the cells visible.
View masked(std::int64_t rows, const Size3& crop = kCrop, std::int64_t cell = 8) {
  return backbone::tiny::masked(rows, crop, {cell, cell, cell}, 0.25);
}

TEST(Vit, HasMonaisNumberOfParameters) {
  Plan base;
  base.decoder.width = 0;
  EXPECT_EQ(count_parameters(Vit(base, {64, 64, 64})), 88'242'432);
  const Plan small{.encoder = {.patch = 8,
                               .hidden = 48,
                               .mlp = 96,
                               .layers = 3,
                               .heads = 4,
                               .qkv_bias = true,
                               .cls_token = true},
                   .decoder = {.width = 0},
                   .classes = 5};
  EXPECT_EQ(count_parameters(Vit(small, {32, 32, 32})), 85'253);
}

TEST(Vit, GivesTokensOfTheVisiblePatchesAndADecoderTokenForEach) {
  for (const bool cls_token : {false, true}) {
    Vit network(tiny(cls_token), kCrop);
    EXPECT_EQ(network.run({image(2)}, {}).encoder_BLC.size(1), 24);
    torch::Tensor last;
    network.set_tap([&](const auto& name, const auto& x) { last = name == "norm" ? x : last; });
    const auto out = network.run(masked(2), {});
    EXPECT_EQ(out.cls_BC.sizes(), at::IntArrayRef({2, 24}));
    EXPECT_EQ(out.encoder_BLC.sizes(), at::IntArrayRef({2, 6, 24}));
    EXPECT_TRUE(torch::equal(out.cls_BC, cls_token ? last.select(1, 0) : last.mean(1)));
    EXPECT_EQ(out.decoder_BLC.sizes(), at::IntArrayRef({2, 24, 20}));
    EXPECT_EQ(out.reconstruction_B1XYZ.sizes(), at::IntArrayRef({2, 1, 32, 16, 24}));
  }
  const auto spec = Vit(tiny(), kCrop).spec();
  EXPECT_EQ(spec.mask_cell, (Size3{8, 8, 8}));
  EXPECT_TRUE(spec.drops_masked);
  EXPECT_EQ(spec.encoder_channels, 24);
  EXPECT_EQ(spec.decoder_channels, 20);
}

// The encoder in plain steps over all patches, masked ones excluded as keys by -inf.
torch::Tensor encode_with_masked_keys(const Vit& network, const Plan& plan, const View& view,
                                      const torch::Tensor& seen_BL) {
  const auto p = network.named_parameters();
  const auto& e = plan.encoder;
  const auto norm = [&](const torch::Tensor& x, const std::string& name) {
    const torch::Tensor centred = x - x.mean(-1, true);
    return centred / (centred.square().mean(-1, true) + 1e-5).sqrt() * p[name + ".weight"] +
           p[name + ".bias"];
  };
  const auto linear = [&](const torch::Tensor& x, const std::string& name) {
    const torch::Tensor y = at::matmul(x, p[name + ".weight"].t());
    return p.contains(name + ".bias") ? y + p[name + ".bias"] : y;
  };
  const std::string patches = "patch_embedding.patch_embeddings.";
  torch::Tensor x = at::conv3d(view.image_B1XYZ, p[patches + "weight"], p[patches + "bias"],
                               /*stride=*/e.patch)
                        .flatten(2)
                        .transpose(1, 2) +
                    p["patch_embedding.position_embeddings"];
  const torch::Tensor hidden_B11L = (seen_BL == 0).unsqueeze(1).unsqueeze(1);
  for (std::int64_t i = 0; i < e.layers; ++i) {
    const std::string block = "blocks." + std::to_string(i) + ".";
    const torch::Tensor qkv = linear(norm(x, block + "norm1"), block + "attn.qkv");
    const auto part = [&](std::int64_t which) {  // (B, H, L, D)
      return qkv.narrow(2, which * e.hidden, e.hidden)
          .reshape({x.size(0), x.size(1), e.heads, e.hidden / e.heads})
          .transpose(1, 2);
    };
    const double scale = 1 / std::sqrt(static_cast<double>(e.hidden / e.heads));
    const torch::Tensor map =
        (at::matmul(part(0), part(1).transpose(2, 3)) * scale)
            .masked_fill(hidden_B11L, -std::numeric_limits<double>::infinity())
            .softmax(-1);
    const torch::Tensor mixed = at::matmul(map, part(2)).transpose(1, 2).flatten(2);
    x = x + linear(mixed, block + "attn.out_proj");
    const torch::Tensor inner = linear(norm(x, block + "norm2"), block + "mlp.linear1");
    x = x + linear(inner * 0.5 * (1 + at::erf(inner / std::sqrt(2.0))), block + "mlp.linear2");
  }
  return norm(x, "norm");
}

TEST(Vit, VisibleTokensEqualAttentionWithoutTheMaskedKeys) {
  const torch::NoGradGuard no_grad;
  Plan plan = tiny();
  plan.encoder.qkv_bias = true;
  Vit network(plan, kCrop);
  const View view = masked(2);
  const torch::Tensor seen_BL = at::avg_pool3d(view.visible_B1XYZ, 8).flatten(1);
  const torch::Tensor want_BLC = encode_with_masked_keys(network, plan, view, seen_BL);
  const torch::Tensor got_BNC = network.run(view, {}).encoder_BLC;
  for (std::int64_t b = 0; b < 2; ++b) {
    const torch::Tensor places = seen_BL[b].nonzero().flatten();
    EXPECT_TRUE(torch::allclose(got_BNC[b], want_BLC[b].index_select(0, places), 1e-4, 1e-5)) << b;
  }
}

TEST(Vit, MasksOfSeveralPatchesWork) {
  Vit network(tiny(), {32, 32, 32});
  const View view = masked(2, {32, 32, 32}, 16);
  EXPECT_EQ(network.run(view, {}).encoder_BLC.size(1), 16);
}

TEST(Vit, AClassificationHeadIsCarriedAlongAndNotTrained) {
  Plan plan = tiny(/*cls_token=*/true);
  plan.classes = 3;
  Vit network(plan, kCrop);
  for (const backbone::Want want : backbone::kEveryWant)
    backbone::expect_parts(network, masked(2), want);
}

TEST(Vit, RefusesWhatDoesNotFitByName) {
  EXPECT_THAT(refusal([] {
                Vit(tiny(), {32, 20, 24});
              }),
              ::testing::AllOf(HasSubstr("32x20x24"), HasSubstr("model.vit.patch")));
  Plan heads = tiny(), own_heads = tiny(), sines = tiny(), head = tiny();
  heads.encoder.heads = 5;
  EXPECT_THAT(
      refusal([&] { Vit(heads, kCrop); }),
      testing::AllOf(HasSubstr("model.vit.heads"), HasSubstr("choose one of 1, 2, 3, 4, 6")));
  own_heads.decoder.heads = 3;
  EXPECT_THAT(refusal([&] { Vit(own_heads, kCrop); }), HasSubstr("model.vit.decoder_heads"));
  sines.encoder.positions = "sincos";
  sines.encoder.hidden = 27;
  EXPECT_THAT(refusal([&] { Vit(sines, kCrop); }), HasSubstr("model.vit.positions"));
  head.classes = 2;
  EXPECT_THAT(refusal([&] { Vit(head, kCrop); }), HasSubstr("model.vit.cls_token"));
  Vit network(tiny(), kCrop);
  EXPECT_THAT(refusal([&] { network.classify(image(1)); }), HasSubstr("classification head"));
}

TEST(Vit, RefusesMasksThatAreNotOfWholePatchesAlikeInEveryRow) {
  Vit network(tiny(), {32, 32, 32});
  View view = masked(1, {32, 32, 32}, 4);
  EXPECT_THAT(refusal([&] { network.run(view, {}); }), HasSubstr("finer"));
  view = masked(2, {32, 32, 32});
  view.visible_share = 0.5;
  EXPECT_THAT(refusal([&] { network.run(view, {}); }), HasSubstr("32 patches"));
  view.visible_share = 0.255;
  EXPECT_THAT(refusal([&] { network.run(view, {}); }), HasSubstr("whole number"));
}

TEST(Vit, OptionsAreToldFromNamesAndShapes) {
  Plan plan = tiny(/*cls_token=*/true);
  plan.encoder.hidden = 128;
  plan.encoder.heads = 2;
  plan.encoder.qkv_bias = true;
  plan.encoder.projection = "perceptron";
  plan.decoder = {.width = 64, .layers = 3, .heads = 2};
  const auto factory = backbone::find("vit").factory();
  const auto found = factory->recognise(named_tensors(Vit(plan, {32, 32, 32})));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->crop, (Size3{32, 32, 32}));
  const backbone::Settings want{
      {"model.vit.patch", "8"},          {"model.vit.hidden", "128"},
      {"model.vit.mlp", "32"},           {"model.vit.layers", "2"},
      {"model.vit.heads", "2"},          {"model.vit.qkv_bias", "true"},
      {"model.vit.cls_token", "true"},   {"model.vit.projection", "perceptron"},
      {"model.vit.decoder_width", "64"}, {"model.vit.decoder_layers", "3"},
      {"model.vit.decoder_heads", "2"}};
  EXPECT_EQ(found->options, want);
  EXPECT_FALSE(
      factory->recognise({{"patch_embedding.position_embeddings", torch::zeros({1, 64, 128})}}));
}

TEST(Vit, TellsHowMonaiBuildsIt) {
  const auto form = Vit(tiny(true), kCrop).monai();
  EXPECT_EQ(form.network, "ViT");
  EXPECT_EQ(form.own, "pretrain_decoder.");
  const auto arguments = nlohmann::json::parse(form.arguments);
  EXPECT_EQ(arguments.at("img_size"), nlohmann::json({32, 16, 24}));
  EXPECT_EQ(arguments.at("patch_size"), nlohmann::json({8, 8, 8}));
  EXPECT_EQ(arguments.at("num_layers"), 2);
  EXPECT_TRUE(arguments.at("classification")) << "MONAI's class token comes with its head";
}

}  // namespace
}  // namespace homolog::model::vit
