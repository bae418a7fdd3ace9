// Claims about whole runs of the engine with a toy objective: resume, skip, stop, validation (P1,
// P2).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/weights_file.h"
#include "toy.h"
#include "train/checkpoint_writer.h"

namespace homolog::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using toy::parts_for;
using toy::plan_for;
using toy::run;
using toy::Scratch;

std::vector<json> metrics(const fs::path& folder, bool validation = false) {
  std::ifstream in(folder / "metrics.jsonl");
  std::vector<json> lines;
  for (std::string line; std::getline(in, line);) {
    json j = json::parse(line);
    if (j.contains("validation") == validation) lines.push_back(std::move(j));
  }
  return lines;
}

fs::path last_checkpoint(const fs::path& folder) {
  return list_checkpoints(folder / "checkpoints").back();
}

void expect_same_tensors(const fs::path& a, const fs::path& b) {
  for (const char* stem : {"model", "target", "objective", "optimizer"}) {
    const auto left = read_tensors(a, stem), right = read_tensors(b, stem);
    ASSERT_EQ(left.size(), right.size());
    ASSERT_FALSE(left.empty()) << stem;
    for (const auto& [name, tensor] : left)
      EXPECT_TRUE(torch::equal(tensor, right.at(name))) << stem << " " << name;
  }
}

Fault fault_of(const std::function<void()>& body, std::string* what = nullptr) {
  try {
    body();
  } catch (const Error& e) {
    if (what != nullptr) *what = e.what();
    return e.fault();
  }
  ADD_FAILURE() << "nothing was thrown";
  return Fault::Stopped;
}

TEST(Training, ResumingIsBitExactWithNeverHavingStopped) {  // P2
  const Scratch straight("straight"), broken("broken");
  EXPECT_EQ(run(plan_for(straight.path), parts_for()), 0);
  auto plan = plan_for(broken.path);
  plan.stop_after = 3;
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_EQ(last_checkpoint(broken.path).filename(), "step-00000003");
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_EQ(run(plan, parts_for()), 0);
  expect_same_tensors(last_checkpoint(straight.path), last_checkpoint(broken.path));
  const auto a = metrics(straight.path), b = metrics(broken.path);
  ASSERT_EQ(a.size(), 8u);
  ASSERT_EQ(b.size(), 8u);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i]["step"], i);
    for (const char* key : {"step", "epoch", "total", "terms", "lr", "wd", "ema", "grad_norm"})
      EXPECT_EQ(a[i][key], b[i][key]) << key;
  }
  EXPECT_EQ(metrics(straight.path, true), metrics(broken.path, true));
}

TEST(Training, ARunsOwnConfigurationDoesNotStopItAgain) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 2;
  plan.cluster.bucket_mb = 0.001;  // the least that a file may say
  EXPECT_EQ(run(plan, parts_for()), 75);
  TrainingPlan again;
  Options options("toy", "", "");
  declare(options, again);
  const std::string folder = scratch.path.string(), config = (scratch.path / "config.ini").string();
  const char* words[] = {"toy", "--run", folder.c_str(), "--config", config.c_str()};
  ASSERT_TRUE(options.parse(5, words));
  EXPECT_EQ(again.schedule.epochs, 2);
  EXPECT_EQ(again.stop_after, 0);
}

TEST(Training, AllowsTf32UnlessTheRunIsDeterministic) {
  for (const bool deterministic : {true, false}) {
    const Scratch scratch;
    auto plan = plan_for(scratch.path);
    plan.deterministic = deterministic;
    EXPECT_EQ(run(plan, parts_for()), 0);
    EXPECT_EQ(at::globalContext().allowTF32CuBLAS(), !deterministic);
    EXPECT_EQ(at::globalContext().allowTF32CuDNN(), !deterministic);
  }
}

TEST(Training, LearnsAndWritesWhatARunFolderPromises) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.schedule.epochs = 30;
  EXPECT_EQ(run(plan, parts_for()), 0);
  const auto lines = metrics(scratch.path);
  EXPECT_LT(lines.back()["total"].get<double>(), 0.5 * lines.front()["total"].get<double>());
  EXPECT_TRUE(lines.back()["parts"].contains("forward"));
  for (const char* name :
       {"config.ini", "manifest.json", "log-0.jsonl", "checkpoints/best/manifest.json"}) {
    EXPECT_TRUE(fs::exists(scratch.path / name)) << name;
  }
  const json manifest = json::parse(std::ifstream(scratch.path / "manifest.json"));
  EXPECT_EQ(manifest["store_hash"], "toy store");
  EXPECT_TRUE(manifest["resumed_from_step"].is_null());
}

TEST(Training, ASkippedStepChangesNothingButTheCursor) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.schedule.steps = 4;
  plan.schedule.warmup_epochs = 0;
  plan.checkpoint.every_steps = 1;
  plan.checkpoint.synchronous = true;
  EXPECT_EQ(run(plan, parts_for({.poisoned = {5}})), 0);  // ids 4 and 5: the third step
  const auto folders = list_checkpoints(scratch.path / "checkpoints");
  ASSERT_EQ(folders.size(), 4u);
  expect_same_tensors(folders[1], folders[2]);
  EXPECT_EQ(read_manifest(folders[2]).cursor.position, 3u);
  EXPECT_FALSE(torch::equal(read_tensors(folders[2], "model").at("tail.weight"),
                            read_tensors(folders[3], "model").at("tail.weight")));
  const auto lines = metrics(scratch.path);
  EXPECT_TRUE(lines[2].value("skipped", false));
  EXPECT_FALSE(lines[3].contains("skipped"));
}

TEST(Training, ASkippedStepLeavesRunningStatisticsWhereTheyWere) {  // P5
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.schedule.steps = 4;
  plan.checkpoint.every_steps = 1;
  plan.checkpoint.synchronous = true;
  EXPECT_EQ(run(plan, parts_for({.poisoned = {5}, .dropout = true, .batch_norm = true})), 0);
  const auto folders = list_checkpoints(scratch.path / "checkpoints");
  ASSERT_EQ(folders.size(), 4u);
  expect_same_tensors(folders[1], folders[2]);
  const auto mean = [&](std::size_t i) {
    return read_tensors(folders[i], "model").at("norm.running_mean");
  };
  EXPECT_FALSE(torch::equal(mean(0), mean(1))) << "steps that count move them";
  EXPECT_FALSE(torch::equal(mean(2), mean(3)));
}

TEST(Training, TheBoardShowsTheObjectivesTemperature) {
  const Scratch scratch;
  ::setenv("HOMOLOG_LAUNCHED", "1", 1);  // else a worker takes its board with it
  EXPECT_EQ(run(plan_for(scratch.path), parts_for()), 0);
  ::unsetenv("HOMOLOG_LAUNCHED");
  const auto board = board::BoardReader::open(scratch.path.string(), 0);
  ASSERT_TRUE(board.has_value());
  EXPECT_EQ(board->read()->teacher_temperature, 1.25);  // of the second and last epoch
}

// The toy's samples, but a fault in the place of batch `fails_at` of this process.
struct FailingSource final : Source {
  FailingSource(const Start& start, int fails_at) : inner(start), left(fails_at) {}
  Batch next() override {
    if (left-- == 0) throw Error(Fault::Data, "a read timed out");
    return inner.next();
  }
  std::int64_t steps_per_epoch() const override { return inner.steps_per_epoch(); }
  std::int64_t validation_batches() const override { return 0; }
  Batch validation_batch(std::int64_t i) override { return inner.validation_batch(i); }
  data::StreamCounters counters() const override { return {}; }
  toy::ToySource inner;
  int left;
};

TEST(Training, ASourceThatFailsWhileSavingCostsNoStep) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 2;
  auto parts = parts_for();
  parts.source = [](const Start& start) { return std::make_unique<FailingSource>(start, 2); };
  EXPECT_EQ(fault_of([&] { run(plan, parts); }), Fault::Data);
  EXPECT_EQ(verify_checkpoint(last_checkpoint(scratch.path)).step, 2);
  EXPECT_TRUE(read_manifest(last_checkpoint(scratch.path)).next_ids.empty());
  EXPECT_EQ(metrics(scratch.path).size(), 2u) << "the step before a save is told";
  plan.stop_after = 0;
  EXPECT_EQ(run(plan, parts_for()), 0);
  EXPECT_EQ(metrics(scratch.path).size(), 8u);
}

TEST(Training, TooManySkippedStepsEndTheRunNamingRankAndSamples) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.schedule.max_skipped = 3;
  std::string what;
  EXPECT_EQ(fault_of(
                [&] {
                  run(plan, parts_for({.poisoned = {2, 4, 7}}));
                },
                &what),
            Fault::Diverged);
  EXPECT_THAT(what, ::testing::AllOf(::testing::HasSubstr("3 steps in a row"),
                                     ::testing::HasSubstr("rank 0: samples 6 7")));
}

TEST(Training, TheLastLayerWaitsForTheSecondEpochAndUnusedTensorsForEver) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.checkpoint.every_steps = 1;
  plan.checkpoint.synchronous = true;
  EXPECT_EQ(run(plan, parts_for()), 0);
  const auto at = [&](int step, const char* name) {
    return read_tensors(scratch.path / "checkpoints" / checkpoint_name(step), "model").at(name);
  };
  EXPECT_TRUE(torch::equal(at(1, "last_layer.weight"), at(4, "last_layer.weight")));
  EXPECT_FALSE(torch::equal(at(4, "last_layer.weight"), at(6, "last_layer.weight")));
  EXPECT_FALSE(torch::equal(at(2, "first.weight"), at(3, "first.weight")));
  EXPECT_TRUE(torch::equal(at(8, "unused"), torch::ones({3, 3})));  // not even decayed
}

TEST(Training, ValidationChangesNothing) {
  const Scratch with("with"), without("without");
  EXPECT_EQ(run(plan_for(with.path), parts_for()), 0);
  auto plan = plan_for(without.path);
  plan.schedule.validate_every = 0;
  EXPECT_EQ(run(plan, parts_for()), 0);
  EXPECT_EQ(metrics(with.path, true).size(), 2u);
  EXPECT_EQ(metrics(without.path, true).size(), 0u);
  expect_same_tensors(last_checkpoint(with.path), last_checkpoint(without.path));
}

TEST(Training, AccumulatingIsTheLargerBatch) {
  const Scratch one("one"), two("two");
  const toy::Faults steady{.poisoned = {}, .dropout = false};
  auto plan = plan_for(one.path);
  plan.batch = 4;
  EXPECT_EQ(run(plan, parts_for(steady)), 0);
  plan.run = two.path;
  plan.batch = 2;
  plan.accumulate = 2;
  EXPECT_EQ(run(plan, parts_for(steady)), 0);
  const auto a = metrics(one.path), b = metrics(two.path);
  for (std::size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i]["total"].get<double>(), b[i]["total"].get<double>(), 1e-5);
}

TEST(Resume, TakesTheNewestWholeCheckpointAndRefusesDamagedOnes) {  // P1
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.checkpoint.every_steps = 1;
  plan.checkpoint.synchronous = true;
  plan.schedule.validate_every = 0;
  EXPECT_EQ(run(plan, parts_for()), 0);
  const auto folders = list_checkpoints(scratch.path / "checkpoints");
  ASSERT_EQ(folders.size(), 8u);
  fs::resize_file(folders[7] / "model.safetensors", 100);  // truncated
  {
    std::fstream f(folders[6] / "optimizer.safetensors", std::ios::in | std::ios::out);
    f.seekp(900);
    f.put('!');
  }                                               // flipped
  fs::remove(folders[5] / "target.safetensors");  // a file missing
  fs::remove(folders[4] / "manifest.json");       // no manifest
  std::ofstream(folders[3] / "manifest.json") << R"({"kind":"homolog checkpoint","version":99})";
  std::vector<std::string> refused;
  const auto found = newest_checkpoint(scratch.path / "checkpoints", refused);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->folder, folders[2]);
  ASSERT_EQ(refused.size(), 5u);
  EXPECT_THAT(refused[0], ::testing::HasSubstr("model.safetensors has 100 bytes"));
  EXPECT_THAT(refused[1], ::testing::HasSubstr("optimizer.safetensors does not match its hash"));
  EXPECT_THAT(refused[2], ::testing::HasSubstr("target.safetensors is missing"));
  EXPECT_THAT(refused[3], ::testing::HasSubstr("manifest.json is missing"));
  EXPECT_THAT(refused[4], ::testing::HasSubstr("version 99"));
  plan.resume = "exact";
  EXPECT_EQ(fault_of([&] { run(plan, parts_for()); }), Fault::Data);
  plan.resume = "auto";
  EXPECT_EQ(run(plan, parts_for()), 0);  // goes on from step 3
  EXPECT_EQ(metrics(scratch.path).size(), 8u);
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Resume, GoingBackLeavesTheLaterBranchAside) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.checkpoint.every_steps = 2;
  plan.checkpoint.keep = 2;
  plan.checkpoint.synchronous = true;
  plan.schedule.validate_every = 0;
  EXPECT_EQ(run(plan, parts_for()), 0);  // 6 and 8 stay
  plan.resume = "exact";
  plan.from = scratch.path / "checkpoints/step-00000006";
  plan.stop_after = 1;
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_THAT(names_in(scratch.path / "checkpoints"),
              ::testing::ElementsAre("abandoned-step-00000008", "step-00000006", "step-00000007"));
  EXPECT_EQ(verify_checkpoint(scratch.path / "checkpoints/abandoned-step-00000008").step, 8);
  plan.resume = "auto";
  plan.from.clear();
  EXPECT_EQ(run(plan, parts_for()), 0);
  EXPECT_EQ(json::parse(std::ifstream(scratch.path / "manifest.json"))["resumed_from_step"], 7);
  plan.resume = "exact";  // again: the name is taken
  plan.from = scratch.path / "checkpoints/step-00000007";
  EXPECT_EQ(run(plan, parts_for()), 0);
  EXPECT_TRUE(fs::exists(scratch.path / "checkpoints/abandoned-step-00000008-2"));
}

TEST(Resume, GoingBackMendsTheBest) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.checkpoint.every_steps = 1;
  EXPECT_EQ(run(plan, parts_for()), 0);  // validates after 4 and 8, each the best so far
  const fs::path best = scratch.path / "checkpoints/best";
  ASSERT_EQ(fs::read_symlink(best), "step-00000008");
  plan.resume = "exact";
  plan.stop_after = 1;
  plan.from = scratch.path / "checkpoints/step-00000005";
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_EQ(fs::read_symlink(best), "step-00000004") << "the best of the branch that stays";
  plan.from = scratch.path / "checkpoints/step-00000002";
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_FALSE(fs::is_symlink(best));
  plan.from.clear();
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_EQ(fs::read_symlink(best), "step-00000004") << "of the new branch";
}

TEST(Resume, NeverStartsAfreshWhereEveryCheckpointIsDamaged) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 2;
  EXPECT_EQ(run(plan, parts_for()), 75);
  fs::resize_file(last_checkpoint(scratch.path) / "model.safetensors", 100);
  std::string what;
  EXPECT_EQ(fault_of([&] { run(plan, parts_for()); }, &what), Fault::Data);
  EXPECT_THAT(what, ::testing::AllOf(::testing::HasSubstr("step-00000002"),
                                     ::testing::HasSubstr("--resume none --overwrite")));
  EXPECT_EQ(metrics(scratch.path).size(), 2u) << "nothing was removed";
}

// A run with two more settings of its data, as homolog-train declares them.
int run_with_data(TrainingPlan plan, double noise, int threads, int patches) {
  Options options("toy", "", "");
  declare(options, plan);
  options.add("data.noise", noise, "");
  options.add("data.threads", threads, "");
  options.add("data.patches_per_volume", patches, "");
  const std::string run = plan.run.string();
  const char* words[] = {"toy", "--run", run.c_str()};
  options.parse(3, words);
  return run_training(plan, parts_for(), options);
}

TEST(Resume, TellsWhatElseIsDoneToTheDataAndRefusesAnotherOrder) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 1;
  EXPECT_EQ(run_with_data(plan, 0.1, 2, 5), 75);
  EXPECT_EQ(run_with_data(plan, 0.2, 3, 5), 75);
  std::ifstream in(scratch.path / "log-0.jsonl");
  const std::string log((std::istreambuf_iterator<char>(in)), {});
  EXPECT_THAT(log, ::testing::AllOf(::testing::HasSubstr("data.noise"),
                                    ::testing::Not(::testing::HasSubstr("data.threads"))));
  std::string what;
  EXPECT_EQ(fault_of([&] { run_with_data(plan, 0.2, 3, 6); }, &what), Fault::Usage);
  EXPECT_THAT(what, ::testing::HasSubstr("data.patches_per_volume was '5', now it is '6'"));
}

TEST(Resume, RefusesAnotherSeedStoreBatchOrModel) {  // fault table 12
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 2;
  EXPECT_EQ(run(plan, parts_for()), 75);
  std::string what;
  auto other = plan;
  other.seed = 5;
  EXPECT_EQ(fault_of([&] { run(other, parts_for()); }, &what), Fault::Usage);
  EXPECT_THAT(what, ::testing::HasSubstr("data.seed was '123', now it is '5'"));
  other = plan;
  other.batch = 3;
  EXPECT_EQ(fault_of([&] { run(other, parts_for()); }, &what), Fault::Usage);
  EXPECT_THAT(what, ::testing::HasSubstr("global batch"));
  auto parts = parts_for();
  parts.identity["store"] = "another";
  EXPECT_EQ(fault_of([&] { run(plan, parts); }, &what), Fault::Usage);
  EXPECT_THAT(what, ::testing::HasSubstr("the store was 'toy store'"));
  other = plan;
  other.optimizer.name = "sgd";
  EXPECT_EQ(fault_of([&] { run(other, parts_for()); }, &what), Fault::Usage);
}

TEST(Resume, NoneRefusesAFolderWithCheckpointsUnlessTold) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 2;
  EXPECT_EQ(run(plan, parts_for()), 75);
  plan.resume = "none";
  EXPECT_EQ(fault_of([&] { run(plan, parts_for()); }), Fault::Usage);
  plan.overwrite = true;
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_EQ(metrics(scratch.path).front()["step"], 0);
}

TEST(Resume, NoticesAStreamThatGoesOnElsewhere) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 2;
  EXPECT_EQ(run(plan, parts_for()), 75);
  auto parts = parts_for();
  parts.source = [](Start start) {
    ++start.cursor.position;
    return std::make_unique<toy::ToySource>(start);
  };
  std::string what;
  EXPECT_EQ(fault_of([&] { run(plan, parts); }, &what), Fault::Data);
  EXPECT_THAT(what, ::testing::HasSubstr("goes on with sample 6, the checkpoint expects 4"));
}

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
