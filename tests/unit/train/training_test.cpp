// Claims about whole runs of the engine with a toy objective: learning, skipping, validation (P2,
// P5).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "run_folder_facts.h"
#include "toy.h"

namespace homolog::train {
namespace {

using toy::parts_for;
using toy::plan_for;
using toy::run;
using toy::Scratch;

void expect_same_tensors(const fs::path& a, const fs::path& b) {
  for (const char* stem : {"model", "target", "objective", "optimizer"}) {
    const auto left = read_tensors(a, stem), right = read_tensors(b, stem);
    ASSERT_EQ(left.size(), right.size());
    ASSERT_FALSE(left.empty()) << stem;
    for (const auto& [name, tensor] : left)
      EXPECT_TRUE(torch::equal(tensor, right.at(name))) << stem << " " << name;
  }
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

TEST(Training, TheTargetNormalisesByTheOnlineNetworksStatistics) {  // D36
  const Scratch scratch;
  EXPECT_EQ(
      run(plan_for(scratch.path), parts_for({.poisoned = {}, .dropout = true, .batch_norm = true})),
      0);
  const auto online = read_tensors(last_checkpoint(scratch.path), "model"),
             target = read_tensors(last_checkpoint(scratch.path), "target");
  for (const char* name : {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"})
    EXPECT_TRUE(torch::equal(target.at(name), online.at(name))) << name;
  EXPECT_FALSE(torch::equal(target.at("norm.weight"), online.at("norm.weight"))) << "EMA";
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

}  // namespace
}  // namespace homolog::train
