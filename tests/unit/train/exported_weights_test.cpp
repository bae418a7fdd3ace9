// What an exported file says of itself: what it holds, and no folder of the site that made it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "toy.h"
#include "train/exported_weights.h"

namespace homolog::train {
namespace {

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

}  // namespace
}  // namespace homolog::train
