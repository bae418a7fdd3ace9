// Claims about the checkpoints on disk: whole ones under their names, retention, failed writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run_folder_facts.h"
#include "toy.h"
#include "train/checkpoint_writer.h"

namespace homolog::train {
namespace {

using toy::Scratch;

TEST(CheckpointWriter, AFailedWriteIsCountedAndTheOldOneStays) {  // fault table 9
  const Scratch scratch;
  CheckpointPlan plan;
  plan.synchronous = true;
  CheckpointWriter writer(scratch.path, plan, true);
  TrainState state;
  const TensorFiles files{{"model", {{"w", torch::ones({4})}}}};
  state.step = 1;
  writer.save(state, files, false);
  EXPECT_EQ(writer.status().last_step, 1);
  const fs::path moved = scratch.path.string() + "-moved";
  fs::rename(scratch.path, moved);
  std::ofstream(scratch.path) << "a file where the folder was";
  state.step = 2;
  writer.save(state, files, false);
  EXPECT_EQ(writer.status().failures, 1);
  EXPECT_EQ(writer.status().last_step, 1);
  fs::remove(scratch.path);
  fs::rename(moved, scratch.path);
  writer.save(state, files, false);
  EXPECT_EQ(writer.status().last_step, 2);
  EXPECT_EQ(verify_checkpoint(scratch.path / "step-00000002").step, 2);
}

TEST(CheckpointWriter, WritingAStepAgainReplacesItWhole) {
  const Scratch scratch;
  TrainState state;
  state.step = 1;
  fs::create_directories(scratch.path / "step-00000001");
  std::ofstream(scratch.path / "step-00000001/junk") << "of another attempt";
  write_checkpoint(scratch.path / "step-00000001", state, {{"model", {{"w", torch::ones({4})}}}});
  EXPECT_EQ(verify_checkpoint(scratch.path / "step-00000001").step, 1);
  EXPECT_THAT(names_in(scratch.path), ::testing::ElementsAre("step-00000001"));
  EXPECT_FALSE(fs::exists(scratch.path / "step-00000001/junk"));
}

TEST(CheckpointWriter, KeepsTheNewestAndTheBest) {
  const Scratch scratch;
  CheckpointPlan plan;
  plan.keep = 2;
  plan.synchronous = true;
  CheckpointWriter writer(scratch.path, plan, true);
  const TensorFiles files{{"model", {{"w", torch::ones({4})}}}};
  TrainState state;
  for (state.step = 1; state.step <= 6; ++state.step) writer.save(state, files, state.step == 2);
  std::vector<std::string> names;
  for (const auto& folder : list_checkpoints(scratch.path)) names.push_back(folder.filename());
  EXPECT_THAT(names, ::testing::ElementsAre("step-00000002", "step-00000005", "step-00000006"));
  EXPECT_EQ(verify_checkpoint(scratch.path / "best").step, 2);
}

}  // namespace
}  // namespace homolog::train
