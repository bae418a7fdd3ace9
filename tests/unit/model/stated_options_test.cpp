// Weights that fit by names and shapes and are of another network: what a file states of it counts.
#include "model/weights/stated_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/parameter_names.h"
#include "model/weights/import_network.h"

namespace homolog::backbone {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr Size3 kCrop{32, 32, 32};
const Settings kVit = {{"model.vit.hidden", "48"},        {"model.vit.mlp", "64"},
                       {"model.vit.layers", "2"},         {"model.vit.heads", "3"},
                       {"model.vit.decoder_width", "24"}, {"model.vit.decoder_heads", "2"},
                       {"model.vit.decoder_layers", "1"}};
const Settings kUnetr = {{"model.unetr.hidden", "48"},
                         {"model.unetr.mlp", "64"},
                         {"model.unetr.heads", "3"},
                         {"model.unetr.feature", "2"}};
const Settings kNnFormer = {{"model.nnformer.embed", "12"}, {"model.nnformer.heads", "1,2,4,8"}};

Settings with(Settings options, const Settings& more) {
  for (const auto& [key, value] : more) options[key] = value;
  return options;
}

model::ForeignWeights weights_of(const Backbone& network, bool decoder = false) {
  model::ForeignWeights out{.container = "safetensors"};
  for (const auto& [key, tensor] : model::named_tensors(network))
    if (decoder || !key.starts_with("pretrain_decoder."))
      out.weights.tensors[key] = tensor.detach().clone();
  return out;
}

// What a run with `now` says to weights of `then`: "" where it takes them.
std::string answer(const std::string& name, const Settings& then, const Settings& now,
                   bool decoder = false, std::vector<std::string>* notes = nullptr,
                   bool states = true) {
  const Entry& entry = find(name);
  const Built from = build(entry, then, kCrop), to = build(entry, now, kCrop);
  model::ForeignWeights weights = weights_of(*from.network, decoder);
  if (states) weights.weights.metadata["options"] = nlohmann::json(from.options).dump();
  NetworkWeights fitted = fit(*to.network, weights, "w", {.crop = kCrop});
  try {
    require_stated_options(weights, entry, to.options, "w", fitted);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data) << e.what();
    return e.summary() + " " + e.remedy();
  }
  if (notes != nullptr) *notes = fitted.notes;
  return "";
}

TEST(StatedOptions, ThatComputeSomethingElseAreRefusedWithWhatToSet) {
  EXPECT_THAT(answer("vit", kVit, with(kVit, {{"model.vit.heads", "12"}})),
              AllOf(HasSubstr("model.vit.heads: the file states 3, this network has 12"),
                    HasSubstr("set model.vit.heads = 3")));
  EXPECT_THAT(answer("unetr", kUnetr, with(kUnetr, {{"model.unetr.heads", "12"}})),
              HasSubstr("set model.unetr.heads = 3"));
  EXPECT_THAT(
      answer("nnformer", with(kNnFormer, {{"model.nnformer.rel_index", "exact"}}), kNnFormer),
      HasSubstr("set model.nnformer.rel_index = exact"));
  EXPECT_EQ(answer("vit", kVit, kVit), "");
}

TEST(StatedOptions, OfTrainingAloneMayDiffer) {
  EXPECT_EQ(answer("nnformer", kNnFormer,
                   with(kNnFormer, {{"model.nnformer.drop_path", "0.3"},
                                    {"model.nnformer.position", "fixed"}})),
            "");
}

TEST(StatedOptions, OfThePretrainingDecoderCountWhereTheFileHasIt) {
  const Settings other = with(kVit, {{"model.vit.decoder_heads", "4"}});
  EXPECT_EQ(answer("vit", kVit, other), "");
  EXPECT_THAT(answer("vit", kVit, other, true), HasSubstr("set model.vit.decoder_heads = 2"));
}

TEST(StatedOptions, ThatAreNotStatedAreNotedAsTheRunHasThem) {
  std::vector<std::string> notes;
  EXPECT_EQ(answer("vit", kVit, with(kVit, {{"model.vit.heads", "12"}}), false, &notes, false), "");
  EXPECT_THAT(notes, Contains(AllOf(HasSubstr("does not tell model.vit.heads"), HasSubstr("12"))));
  EXPECT_EQ(answer("vit", kVit, kVit, false, &notes), "");
  EXPECT_THAT(notes, Not(Contains(HasSubstr("model.vit.heads"))));
}

TEST(StatedOptions, AreNotWhatAnImportGuessed) {
  const Entry& entry = find("vit");
  const ImportPlan said{.options = {{"model.vit.heads", "3"}}};
  const Built run = build(entry, with(kVit, {{"model.vit.heads", "12"}}), kCrop);
  const auto start = [&](const ImportPlan& plan) {
    const model::ForeignWeights raw = weights_of(*build(entry, kVit, kCrop).network);
    const model::ForeignWeights imported{.weights = native_file(import_network(raw, plan, "w.pt"))};
    NetworkWeights fitted = fit(*run.network, imported, "w", {.crop = kCrop});
    require_stated_options(imported, entry, run.options, "w", fitted);
    return fitted.notes;
  };
  EXPECT_THAT(start({}), Contains(HasSubstr("does not tell model.vit.heads")));
  EXPECT_THROW(start(said), Error);
}

// The configuration of a ViT's run holds the defaults of all other networks, too.
TEST(StatedOptions, OfAVitWithinAUnetrAreTheVits) {
  const Built vit = build(find("vit"), kVit, kCrop);
  model::ForeignWeights weights{.container = "safetensors"};
  weights.weights.metadata = {
      {"trained.backbone", "vit"},
      {"config", "[model]\nbackbone = vit\nvit.heads = 3\nunetr.heads = 12\n"}};
  EXPECT_EQ(stated_options(weights, find("unetr")).at("model.unetr.heads"), "3");
  weights.weights.metadata.erase("trained.backbone");
  EXPECT_EQ(stated_options(weights, find("unetr")).at("model.unetr.heads"), "3");
  weights.weights.metadata.clear();
  EXPECT_TRUE(stated_options(weights, find("unetr")).empty());
}

}  // namespace
}  // namespace homolog::backbone
