// One GPU is enough: both recipes take steps on it and resume, and NCCL works in a world of one.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cluster/comm/backends.h"
#include "objective/objective_entry.h"
#include "tests/gpu/on_gpu.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/train/toy.h"
#include "train/bucket_reducer.h"
#include "train/pair_source.h"
#include "train/patch_source.h"

namespace homolog::train {
namespace {

namespace fs = std::filesystem;

using TrainingGpu = OnGpu;
using NcclGpu = OnGpu;

// Two steps, then the other two after a resume, by the recipe `config` and `more` settings.
void train_in_two_runs(Options& options, const TrainingPlan& plan, const TrainingParts& parts,
                       const std::string& config, const fs::path& run,
                       std::vector<std::string> more) {
  more.insert(
      more.begin(),
      {"test", "--config", std::string(HOMOLOG_SOURCE_DIR) + "/configs/" + config, "--run",
       run.string(), "--device", "cuda", "--max-steps-this-run", "2", "--set", "schedule.steps=4",
       "--set", "schedule.warmup_steps=1", "--set", "schedule.validate_every=0"});
  std::vector<const char*> words;
  for (const auto& word : more) words.push_back(word.c_str());
  ASSERT_TRUE(options.parse(static_cast<int>(words.size()), words.data()));
  ASSERT_EQ(run_training(plan, parts, options), 75);
  ASSERT_EQ(list_checkpoints(run / "checkpoints").back().filename(), "step-00000002");
  ASSERT_EQ(run_training(plan, parts, options), 0);
  EXPECT_EQ(list_checkpoints(run / "checkpoints").back().filename(), "step-00000004");
  std::ifstream in(run / "metrics.jsonl");
  int steps = 0;
  for (std::string line; std::getline(in, line); ++steps) {
    const auto metrics = nlohmann::json::parse(line);
    EXPECT_EQ(metrics["step"], steps);
    EXPECT_FALSE(metrics.contains("skipped")) << line;
  }
  EXPECT_EQ(steps, 4);
}

TEST_F(TrainingGpu, AliceTakesTwoStepsAndResumes) {
  const toy::Scratch scratch("gpu_alice");
  test::SyntheticPlan store;
  store.crop = {64, 64, 32};
  test::write_synthetic_store(scratch.path / "store", store);
  TrainingPlan plan;
  PairSourcePlan data;
  std::string backbone_name = "nnformer", objective_name = "alice";
  const auto backbone = backbone::find(backbone_name).factory();
  const auto objective = objective::find(objective_name).factory();
  Options options("test", "", "");
  options.add("model.backbone", backbone_name, "");
  options.add("objective.name", objective_name, "");
  backbone->declare(options);
  objective->declare(options);
  declare(options, data);
  declare(options, plan);
  TrainingParts parts;
  parts.program = "test";
  parts.objective = [&] { return objective->make(*backbone, {64, 64, 32}); };
  parts.source = [&](const Start& start) { return std::make_unique<PairSource>(data, start); };
  train_in_two_runs(options, plan, parts, "alice_small.ini", scratch.path / "run",
                    {"--set", "data.store=" + (scratch.path / "store").string()});
}

// A body of smooth waves, so that views differ from place to place.
Volume waves(std::size_t index) {
  Volume v;
  v.id = std::to_string(index);
  v.grid.size = {60, 56, 48};
  v.grid.spacing = {5, 5, 5};
  for (std::int64_t z = 0; z < 48; ++z) {
    for (std::int64_t y = 0; y < 56; ++y) {
      for (std::int64_t x = 0; x < 60; ++x) {
        const double phase = 0.3 * static_cast<double>(x + 2 * y) + static_cast<double>(index);
        const double hu = 60 + 200 * std::sin(phase) * std::cos(0.2 * static_cast<double>(z));
        v.hu.push_back(static_cast<std::int16_t>(hu));
      }
    }
  }
  return v;
}

TEST_F(TrainingGpu, SamTakesTwoStepsAndResumes) {
  const toy::Scratch scratch("gpu_sam");
  TrainingPlan plan;
  plan.schedule.validate_every = 0;
  data::VolumeStreamPlan stream;
  const auto backbone = backbone::find("nnformer").factory();
  const auto objective = objective::find("sam").factory();
  Options options("test", "", "");
  objective->declare(options);
  data::declare(options, stream);
  declare(options, plan);
  TrainingParts parts;
  parts.program = "test";
  parts.objective = [&] { return objective->make(*backbone, {1, 1, 1}); };
  parts.source = [&](const Start& start) {
    return std::make_unique<PatchSource>(stream, 5, waves, start);
  };
  train_in_two_runs(options, plan, parts, "sam_small.ini", scratch.path / "run", {});
}

TEST_F(NcclGpu, AWorldOfOneReducesWaitsAndCloses) {
  const auto nccl = comm::make_nccl({.backend = "nccl", .timeout_s = 60}, comm::make_solo());
  ASSERT_GE(nccl->device(), 0);
  const torch::Device device(torch::kCUDA, static_cast<c10::DeviceIndex>(nccl->device()));
  const torch::Tensor expected = torch::arange(1000, torch::kFloat32);
  const torch::Tensor values = expected.to(device);
  void* stream = current_stream(device);
  const auto ticket = nccl->start_all_reduce({values.data_ptr(), 1000, comm::Scalar::F32},
                                             comm::Reduce::Sum, "test", stream);
  nccl->wait(ticket, stream);
  EXPECT_TRUE(torch::equal(values.cpu(), expected));
  double flag = 1;
  nccl->all_reduce({&flag, 1, comm::Scalar::F64}, comm::Reduce::Sum, "host");
  EXPECT_EQ(flag, 1);
  EXPECT_EQ(nccl->failure(), "");
  nccl->close();
}

}  // namespace
}  // namespace homolog::train
