// What an exported file says of itself: what it holds, and no folder of the site that made it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "toy.h"
#include "train/exported_weights.h"

namespace homolog::train {
namespace {

namespace fs = std::filesystem;
using toy::Scratch;

model::WeightsFile exported(const std::string& config, const std::string& objective,
                            std::vector<std::string> names) {
  const Scratch scratch;
  TrainState state;
  state.step = 1;
  state.config = config;
  state.identity = {{"objective", objective}, {"scans", "/mnt/ward-7/scans"}};
  state.exported = std::move(names);
  write_checkpoint(scratch.path / "step-00000001", state,
                   {{"model",
                     {{"first.weight", torch::ones({4})},
                      {"first.running_mean", torch::zeros({4})},
                      {"second.weight", torch::ones({2})}}}});
  return exported_weights({.source = scratch.path / "step-00000001"});
}

TEST(ExportedWeights, NameNoFolderOfTheSite) {
  const auto file = exported(
      "[data]\nstore = /mnt/ward-7/stores/ct/\nbatch = 2\n\n[x]\nroot=/\nlist = a/b\nempty =\n",
      "alice", {"first.weight"});
  EXPECT_EQ(file.metadata.at("config"),
            "[data]\nstore = ct\nbatch = 2\n\n[x]\nroot=\nlist = a/b\nempty =\n");
  for (const auto& [key, value] : file.metadata)
    EXPECT_THAT(value, testing::Not(testing::HasSubstr("ward-7"))) << key;
  EXPECT_EQ(file.metadata.at("trained.scans"), "scans");
}

TEST(ExportedWeights, BringTheRunningStatisticsOfWhatIsExported) {
  const auto file = exported("", "alice", {"first.weight"});
  EXPECT_TRUE(file.tensors.contains("first.running_mean"));
  EXPECT_FALSE(file.tensors.contains("second.weight"));
}

TEST(ExportedWeights, SayWhetherTheyAreTheEncoderOrTheWholeNetwork) {
  const auto part = exported("", "alice", {"first.weight"});
  EXPECT_EQ(part.metadata.at("contents"), "encoder");
  EXPECT_FALSE(part.metadata.contains("hint"));
  const auto whole = exported("", "sam", {"first.weight", "second.weight"});
  EXPECT_EQ(whole.metadata.at("contents"), "whole network");
  EXPECT_THAT(whole.metadata.at("hint"), testing::HasSubstr("sam.safetensors"));
}

// A checkpoint of a network that MONAI has, with a part that MONAI lacks and a head beside it.
Scratch& checkpoint(const backbone::MonaiForm& form, Scratch& scratch) {
  TrainState state;
  state.identity = {{"objective", "alice"}, {"backbone", "vit"}};
  state.exported_prefix = "backbone.";
  state.exported = {"backbone.norm.weight"};
  state.monai = form;
  write_checkpoint(scratch.path / "step-00000001", state,
                   {{"model",
                     {{"backbone.norm.weight", torch::ones({4})},
                      {"backbone.out.weight", torch::ones({4})},
                      {"backbone.pretrain_decoder.weight", torch::ones({2})},
                      {"head.weight", torch::ones({2})}}}});
  return scratch;
}

std::vector<std::string> names(const model::WeightsFile& file) {
  std::vector<std::string> out;
  for (const auto& [name, tensor] : file.tensors) out.push_back(name);
  return out;
}

const backbone::MonaiForm kVit{
    "ViT", R"({"hidden_size":48,"num_layers":12,"patch_size":[16,16,16],"classification":false})",
    "pretrain_decoder."};

std::string refusal(const ExportPlan& plan) {
  try {
    exported_weights(plan);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

TEST(ExportedWeights, NeedTheFileThatTheyAreInAlone) {
  const Scratch scratch;
  const fs::path folder = scratch.path / "checkpoints" / "step-00000001";
  TrainState state;
  state.exported = {"first.weight"};
  const std::map<std::string, torch::Tensor> tensors = {{"first.weight", torch::ones({4})}};
  write_checkpoint(folder, state,
                   {{"model", tensors}, {"target", tensors}, {"optimizer", tensors}});
  fs::remove(folder / "optimizer.safetensors");
  fs::resize_file(folder / "target.safetensors", 10);
  EXPECT_EQ(exported_weights({.source = folder}).tensors.size(), 1U);
  EXPECT_EQ(exported_weights({.source = scratch.path}).tensors.size(), 1U) << "a run's newest";
  const std::string cut = refusal({.source = folder, .which = "target"});
  EXPECT_THAT(cut, testing::AllOf(testing::HasSubstr("target.safetensors has 10 bytes"),
                                  testing::HasSubstr("folder of another checkpoint"),
                                  testing::Not(testing::HasSubstr("--resume"))));
  const std::string none = refusal({.source = scratch.path, .which = "target"});
  EXPECT_THAT(none, testing::AllOf(testing::HasSubstr("holds no whole checkpoint"),
                                   testing::Not(testing::HasSubstr("train until"))));
  fs::rename(folder / "model.safetensors", folder / "objective.safetensors");
  EXPECT_THAT(refusal({.source = folder}), testing::HasSubstr("model.safetensors is missing"));
}

TEST(ExportedWeights, AsMonaiLoadsThemHoldWhatItsNetworkHasAndSayHowToBuildIt) {
  Scratch scratch;
  const auto folder = checkpoint(kVit, scratch).path / "step-00000001";
  const auto full = exported_weights({.source = folder, .layout = "monai", .full = true});
  EXPECT_THAT(names(full), testing::ElementsAre("norm.weight", "out.weight"));
  EXPECT_EQ(full.metadata.at("contents"), "whole network");
  EXPECT_EQ(full.metadata.at("monai.network"), "ViT");
  EXPECT_EQ(full.metadata.at("monai.arguments"), kVit.arguments);
  const auto encoder = exported_weights({.source = folder, .layout = "monai"});
  EXPECT_THAT(names(encoder), testing::ElementsAre("norm.weight"));
  EXPECT_EQ(encoder.metadata.at("contents"), "encoder");
}

TEST(ExportedWeights, OfAVitBecomeTheEncoderOfAUnetr) {
  Scratch scratch;
  const auto folder = checkpoint(kVit, scratch).path / "step-00000001";
  const auto file = exported_weights({.source = folder, .layout = "monai-unetr"});
  EXPECT_THAT(names(file), testing::ElementsAre("vit.norm.weight"));
  EXPECT_EQ(file.metadata.at("contents"), "encoder");
  const auto full = exported_weights({.source = folder, .layout = "monai-unetr", .full = true});
  EXPECT_EQ(full.metadata.at("contents"), "encoder") << "a UNETR's convolutions are not there";
  EXPECT_EQ(file.metadata.at("monai.network"), "UNETR");
  EXPECT_EQ(file.metadata.at("monai.arguments"), R"({"hidden_size":48,"out_channels":1})");
}

TEST(ExportedWeights, OfAResNetThatMonaiLacksNameTheNorm) {
  const Scratch scratch;
  TrainState state;
  state.identity = {{"backbone", "resnet"}};
  write_checkpoint(scratch.path / "step-00000001", state, {{"model", {{"w", torch::ones({1})}}}});
  try {
    exported_weights({.source = scratch.path / "step-00000001", .layout = "monai"});
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("batch norm alone"));
  }
}

TEST(ExportedWeights, OfANetworkThatMonaiLacksAreRefusedInItsLayout) {
  Scratch scratch;
  const auto folder = checkpoint({}, scratch).path / "step-00000001";
  for (const char* layout : {"monai", "monai-unetr"}) {
    try {
      exported_weights({.source = folder, .layout = layout});
      ADD_FAILURE() << layout;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage);
      EXPECT_THAT(e.what(), testing::HasSubstr("--layout reference"));
    }
  }
}

}  // namespace
}  // namespace homolog::train
