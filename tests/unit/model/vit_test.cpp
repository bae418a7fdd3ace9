// ViT: what is left out has no say, what is seen equals attention without the masked keys, parts
// that are not run, rows, refusals, recognition.
#include "model/backbones/vit.h"

#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "model/backbone_entry.h"
#include "model/build_backbone.h"
#include "model/masking.h"

namespace homolog::model::vit {
namespace {

using backbone::Size3;
using backbone::View;
using backbone::Want;

constexpr Size3 kCrop{32, 16, 24};  // 4 x 2 x 3 patches

Plan tiny(bool cls_token = false) {
  return {
      .encoder =
          {.patch = 8, .hidden = 24, .mlp = 32, .layers = 2, .heads = 3, .cls_token = cls_token},
      .decoder = {.width = 20, .layers = 2, .heads = 2}};
}

torch::Tensor image(std::int64_t rows, const Size3& crop = kCrop) {
  return torch::rand({rows, 1, crop[0], crop[1], crop[2]});
}

// A view of `rows` rows with a quarter of the cells visible, each row its own.
View masked(std::int64_t rows, const Size3& crop = kCrop, std::int64_t cell = 8) {
  const MaskPlan plan{.ratio = 0.75, .shape = "cube", .cell = {cell, cell, cell}};
  std::vector<std::uint64_t> keys(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = i + 1;
  return {.image_B1XYZ = image(rows, crop),
          .visible_B1XYZ = visible_B1XYZ(plan, crop, 5, "test", keys, torch::kCPU),
          .visible_share = visible_share(plan, crop)};
}

std::int64_t count(const torch::nn::Module& module) {
  std::int64_t n = 0;
  for (const torch::Tensor& p : module.parameters()) n += p.numel();
  return n;
}

template <class Action>
std::string refusal(Action&& action) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
    return std::string(e.what());
  }
  return "accepted";
}

TEST(Vit, HasMonaisNumberOfParameters) {
  Plan base;
  base.decoder.width = 0;
  EXPECT_EQ(count(Vit(base, {64, 64, 64})), 88'242'432);
  const Plan small{.encoder = {.patch = 8,
                               .hidden = 48,
                               .mlp = 96,
                               .layers = 3,
                               .heads = 4,
                               .qkv_bias = true,
                               .cls_token = true},
                   .decoder = {.width = 0},
                   .classes = 5};
  EXPECT_EQ(count(Vit(small, {32, 32, 32})), 85'253);
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

TEST(Vit, MaskedVoxelsInfluenceNothing) {
  const torch::NoGradGuard no_grad;
  for (const bool cls_token : {false, true}) {
    Vit network(tiny(cls_token), kCrop);
    View view = masked(2);
    const auto before = network.run(view, {});
    view.image_B1XYZ = torch::where(view.visible_B1XYZ == 1, view.image_B1XYZ, image(2) * 100);
    const auto after = network.run(view, {});
    EXPECT_TRUE(torch::equal(before.cls_BC, after.cls_BC));
    EXPECT_TRUE(torch::equal(before.encoder_BLC, after.encoder_BLC));
    EXPECT_TRUE(torch::equal(before.decoder_BLC, after.decoder_BLC));
    EXPECT_TRUE(torch::equal(before.reconstruction_B1XYZ, after.reconstruction_B1XYZ));
    view.image_B1XYZ = view.image_B1XYZ + 0.5;  // and the seen ones do
    EXPECT_FALSE(torch::allclose(before.encoder_BLC, network.run(view, {}).encoder_BLC));
  }
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

TEST(Vit, GivesGradientsToExactlyTheParametersItCallsUsed) {
  for (const bool cls_token : {false, true}) {
    for (const Want want : {Want{true, true}, {true, false}, {false, true}, {false, false}}) {
      for (const bool mask : {true, false}) {
        Plan plan = tiny(cls_token);
        plan.classes = cls_token ? 3 : 0;
        Vit network(plan, kCrop);
        const auto out = network.run(mask ? masked(2) : View{image(2)}, want);
        EXPECT_EQ(out.decoder_BLC.defined(), want.decoder);
        EXPECT_EQ(out.reconstruction_B1XYZ.defined(), want.reconstruction);
        torch::Tensor loss = out.cls_BC.square().sum() + out.encoder_BLC.square().sum();
        if (want.decoder) loss = loss + out.decoder_BLC.square().sum();
        if (want.reconstruction) loss = loss + out.reconstruction_B1XYZ.square().sum();
        loss.backward();
        for (const auto& item : network.named_parameters()) {
          EXPECT_EQ(item.value().grad().defined(), network.is_used(item.key(), want))
              << item.key() << (mask ? " masked" : " whole");
        }
      }
    }
  }
}

TEST(Vit, ARowDoesNotDependOnTheOthers) {
  const torch::NoGradGuard no_grad;
  Vit network(tiny(true), kCrop);
  const View all = masked(3);
  const auto together = network.run(all, {});
  const View last{.image_B1XYZ = all.image_B1XYZ.slice(0, 2),
                  .visible_B1XYZ = all.visible_B1XYZ.slice(0, 2),
                  .visible_share = all.visible_share};
  const auto alone = network.run(last, {});
  EXPECT_TRUE(torch::allclose(together.encoder_BLC.slice(0, 2), alone.encoder_BLC, 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(together.reconstruction_B1XYZ.slice(0, 2), alone.reconstruction_B1XYZ,
                              1e-4, 1e-5));
}

TEST(Vit, RunsOnACropItWasNotMadeFor) {
  Vit network(tiny(), kCrop);
  const auto out = network.run(masked(1, {16, 32, 32}), {});
  EXPECT_EQ(out.reconstruction_B1XYZ.sizes(), at::IntArrayRef({1, 1, 16, 32, 32}));
}

TEST(Vit, RefusesWhatDoesNotFitByName) {
  const auto contains = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  contains(refusal([] { Vit(tiny(), {32, 20, 24}); }), "32x20x24");
  contains(refusal([] { Vit(tiny(), {32, 20, 24}); }), "model.vit.patch");
  Plan heads = tiny(), own_heads = tiny(), sines = tiny(), head = tiny();
  heads.encoder.heads = 5;
  contains(refusal([&] { Vit(heads, kCrop); }), "model.vit.heads");
  own_heads.decoder.heads = 3;
  contains(refusal([&] { Vit(own_heads, kCrop); }), "model.vit.decoder_heads");
  sines.encoder.positions = "sincos";
  sines.encoder.hidden = 27;
  contains(refusal([&] { Vit(sines, kCrop); }), "model.vit.positions");
  head.classes = 2;
  contains(refusal([&] { Vit(head, kCrop); }), "model.vit.cls_token");
  Vit network(tiny(), kCrop);
  contains(refusal([&] { network.classify(image(1)); }), "classification head");
  contains(refusal([&] { network.run({image(1, {30, 16, 24})}, {}); }), "30x16x24");
}

TEST(Vit, RefusesMasksThatAreNotOfWholePatchesAlikeInEveryRow) {
  Vit network(tiny(), {32, 32, 32});
  EXPECT_NE(refusal([&] {
              network.run(masked(1, {32, 32, 32}, 4), {});
            }).find("finer"),
            std::string::npos);
  View view = masked(2, {32, 32, 32});
  view.visible_share = 0.5;
  EXPECT_NE(refusal([&] { network.run(view, {}); }).find("32 patches"), std::string::npos);
  view.visible_share = 0.255;
  EXPECT_NE(refusal([&] { network.run(view, {}); }).find("whole number"), std::string::npos);
}

TEST(Vit, IsRecognisedFromItsNamesAndShapes) {
  const auto factory = backbone::find("vit").factory();
  for (const bool other : {false, true}) {
    Plan plan = tiny(other);
    plan.encoder.hidden = 128;
    plan.encoder.heads = 2;
    plan.encoder.qkv_bias = other;
    plan.encoder.projection = other ? "perceptron" : "conv";
    plan.decoder = {.width = 64, .layers = 3, .heads = 2};
    const Vit network(plan, {32, 32, 32});
    backbone::NamedTensors tensors;
    for (const auto& item : network.named_parameters()) tensors[item.key()] = item.value();
    const auto found = factory->recognise(tensors);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->crop, (Size3{32, 32, 32}));
    EXPECT_EQ(found->options.at("model.vit.heads"), "2");
    const auto built = backbone::build(backbone::find("vit"), found->options, found->crop);
    for (const auto& item : built.network->named_parameters()) {
      ASSERT_TRUE(tensors.count(item.key()) != 0U) << item.key();
      EXPECT_EQ(item.value().sizes(), tensors[item.key()].sizes()) << item.key();
      tensors.erase(item.key());
    }
    EXPECT_TRUE(tensors.empty()) << tensors.begin()->first;
    tensors = {{"patch_embedding.position_embeddings", torch::zeros({1, 64, 128})}};
    EXPECT_FALSE(factory->recognise(tensors).has_value());
  }
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
