// nnFormer against the reference, stage by stage: forward features, loss, gradient norms (fixture
// 1).
#include <set>

#include "golden_fixture.h"
#include "model/nnformer.h"
#include "model/window_attention.h"

namespace homolog::golden {
namespace {

// Mask of fixture 1: 1 where masked, at half resolution in the plane, equal along the last axis.
torch::Tensor masked_input(const Fixture& fixture) {
  const torch::Tensor image = input(0, {2, 1, 64, 64, 64}, 0.5, 0.5);
  const torch::Tensor mask_BXY = fixture.at("mask").to(torch::kFloat);
  const torch::Tensor mask =
      mask_BXY.repeat_interleave(2, 1).repeat_interleave(2, 2).view({2, 1, 64, 64, 1});
  return image * (1 - mask);
}

void expect_run(const Fixture& fixture, const std::string& run, const torch::Tensor& image) {
  const auto rows = read_names(*find_file("f1_nnformer.names.tsv"));
  model::nnformer::NnFormer network({}, {64, 64, 64});
  EXPECT_TRUE(fill_module(network, rows, [](const std::string& name) { return name; }).empty());
  network.eval();
  std::set<std::string> seen;
  network.set_tap([&](const std::string& stage, const torch::Tensor& value) {
    const std::string name = run + "." + stage;
    if (!fixture.has(name) && !fixture.has(name + "#sub")) return;
    fixture.expect(name, value);
    seen.insert(name);
  });
  const backbone::Features out = network.run({image}, {});
  EXPECT_EQ(seen.size(), 12u) << "patch embedding, 4 blocks, 4 stages, 3 decoder levels";

  // The reference hands its decoder map on with the first and last spatial axes swapped.
  const torch::Tensor query = model::nnformer::tokens_to_map(out.encoder_BLC, {4, 4, 4});
  const torch::Tensor anchor =
      model::nnformer::tokens_to_map(out.decoder_BLC, {8, 8, 8}).permute({0, 1, 3, 4, 2});
  fixture.expect(run + ".cls", out.cls_BC);
  fixture.expect(run + ".feat_query", query);
  fixture.expect(run + ".feat_anchor", anchor);
  fixture.expect(run + ".recon", out.reconstruction_B1XYZ);
  const torch::Tensor loss = probe_loss({out.cls_BC, query, anchor, out.reconstruction_B1XYZ});
  fixture.expect(run + ".loss", loss.reshape({1}));
  loss.backward();

  std::vector<double> norms;
  std::vector<std::int64_t> picked;
  const auto parameters = network.named_parameters();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].name == "model_down.absolute_pos_embed")
      continue;  // not a parameter in the reference
    const torch::Tensor& gradient = parameters[rows[i].name].grad();
    norms.push_back(gradient.defined() ? gradient.to(torch::kDouble).norm().item<double>() : -1.0);
    picked.push_back(static_cast<std::int64_t>(i));
    EXPECT_EQ(gradient.defined(), network.is_used(rows[i].name, {})) << rows[i].name;
  }
  fixture.expect_picked(run + ".gradnorm", torch::tensor(norms, torch::kDouble), picked);
}

TEST(NnFormerGolden, PlainRunAgreesStageByStage) {
  const auto fixture = Fixture::open("f1_nnformer");
  if (!fixture) GTEST_SKIP() << "NOT CHECKED: fixture f1_nnformer is missing (set HOMOLOG_GOLDENS)";
  expect_run(*fixture, "plain", input(0, {2, 1, 64, 64, 64}, 0.5, 0.5));
}

TEST(NnFormerGolden, MaskedRunAgreesStageByStage) {
  const auto fixture = Fixture::open("f1_nnformer");
  if (!fixture) GTEST_SKIP() << "NOT CHECKED: fixture f1_nnformer is missing (set HOMOLOG_GOLDENS)";
  expect_run(*fixture, "masked", masked_input(*fixture));
}

TEST(NnFormerGolden, TargetPathWithFusedAttentionAgreesToo) {
  const auto fixture = Fixture::open("f1_nnformer");
  if (!fixture) GTEST_SKIP() << "NOT CHECKED: fixture f1_nnformer is missing (set HOMOLOG_GOLDENS)";
  model::nnformer::NnFormer network({}, {64, 64, 64});
  fill_module(network, read_names(*find_file("f1_nnformer.names.tsv")),
              [](const std::string& name) { return name; });
  network.eval();
  const torch::NoGradGuard no_grad;
  const backbone::Features out = network.run({input(0, {2, 1, 64, 64, 64}, 0.5, 0.5)}, {});
  fixture->expect("plain.feat_query", model::nnformer::tokens_to_map(out.encoder_BLC, {4, 4, 4}));
  fixture->expect("plain.recon", out.reconstruction_B1XYZ);
}

TEST(NnFormerGolden, IndexTablesAndShiftMaskAreExact) {
  const auto fixture = Fixture::open("f1_nnformer");
  if (!fixture) GTEST_SKIP() << "NOT CHECKED: fixture f1_nnformer is missing (set HOMOLOG_GOLDENS)";
  EXPECT_TRUE(torch::equal(model::relative_index(4, false),
                           fixture->at("relpos_index_w4").to(torch::kLong).flatten()));
  const torch::Tensor index8 = model::relative_index(8, false);
  const auto stride =
      static_cast<std::int64_t>(fixture->at("relpos_index_w8#stats")[6].item<double>());
  EXPECT_TRUE(torch::equal(index8.slice(0, 0, index8.numel(), stride),
                           fixture->at("relpos_index_w8#sub").to(torch::kLong)));
  const model::WindowGrid grid{.size = {16, 16, 16}, .window = 4, .shift = 2};
  const torch::Tensor mask = (grid.shift_mask_VNN(torch::kFloat) < -50).to(torch::kLong).flatten();
  const auto mask_stride =
      static_cast<std::int64_t>(fixture->at("shift_mask_16_w4#stats")[6].item<double>());
  EXPECT_TRUE(torch::equal(mask.slice(0, 0, mask.numel(), mask_stride),
                           fixture->at("shift_mask_16_w4#sub").to(torch::kLong)));
}

}  // namespace
}  // namespace homolog::golden
