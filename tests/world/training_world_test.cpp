// Claims about whole runs at 2 and 4 ranks: equal to one rank with the larger batch (P9), same
// decisions everywhere, replicas compared (P6), settings compared.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/stop_signal.h"
#include "cluster/comm/backends.h"
#include "tests/unit/train/toy.h"
#include "tests/world/world_main.h"
#include "train/kept_buffers.h"
#include "train/replica.h"
#include "train/running_statistics.h"

namespace {

using namespace homolog;
using namespace homolog::train;
namespace fs = std::filesystem;

const toy::Faults steady{.poisoned = {}, .dropout = false};

TEST(TrainingWorld, RanksTogetherComputeWhatOneRankWithTheirBatchesComputes) {  // P9
  const SharedFolder shared("p9");
  EXPECT_EQ(toy::run(toy::plan_for(shared.path / "all"), toy::parts_for(steady), world), 0);
  if (world->rank().index == 0) {
    const auto solo = comm::make_solo();
    auto plan = toy::plan_for(shared.path / "one");
    plan.batch *= world->rank().size;
    EXPECT_EQ(toy::run(plan, toy::parts_for(steady), solo.get()), 0);
    const auto a = metrics(shared.path / "all"), b = metrics(shared.path / "one");
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_NEAR(a[i]["total"].get<double>(), b[i]["total"].get<double>(), 1e-5) << i;
      EXPECT_NEAR(a[i]["grad_norm"].get<double>(), b[i]["grad_norm"].get<double>(), 1e-4) << i;
    }
    const auto va = metrics(shared.path / "all", true), vb = metrics(shared.path / "one", true);
    ASSERT_EQ(va.size(), 2u);
    EXPECT_NEAR(va[1]["validation"]["total"].get<double>(),
                vb[1]["validation"]["total"].get<double>(), 1e-5);
    const auto wa = read_tensors(list_checkpoints(shared.path / "all/checkpoints").back(), "model");
    const auto wb = read_tensors(list_checkpoints(shared.path / "one/checkpoints").back(), "model");
    for (const auto& [name, tensor] : wa)
      EXPECT_TRUE(torch::allclose(tensor, wb.at(name), 1e-3, 1e-5)) << name;
  }
  world->barrier();
}

TEST(TrainingWorld, ANanOnOneRankSkipsTheStepOnAll) {  // fault table 25
  const SharedFolder shared("nan");
  const auto poisoned =
      static_cast<std::uint64_t>(2 * world->rank().size + 1);  // rank 0's second row of step 1
  EXPECT_EQ(toy::run(toy::plan_for(shared.path),
                     toy::parts_for({.poisoned = {poisoned}, .dropout = true}), world),
            0);
  if (world->rank().index == 0) {
    const auto lines = metrics(shared.path);
    EXPECT_TRUE(lines[1].value("skipped", false));
    EXPECT_FALSE(lines[2].value("skipped", false));
  }
  world->barrier();
}

TEST(TrainingWorld, DivergenceNamesTheRankAndItsSamplesOnEveryRank) {
  const SharedFolder shared("diverge");
  auto plan = toy::plan_for(shared.path);
  plan.schedule.max_skipped = 1;
  const auto bad = static_cast<std::uint64_t>(2 * world->rank().size - 1);  // the last rank's row
  try {
    toy::run(plan, toy::parts_for({.poisoned = {bad}, .dropout = true}), world);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Diverged);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("rank " + std::to_string(world->rank().size - 1) +
                                               ": samples " + std::to_string(bad - 1) + " " +
                                               std::to_string(bad)));
  }
  world->barrier();
}

TEST(TrainingWorld, ResumesWithTheSameOrderAtTheSameWorld) {
  const SharedFolder shared("resume");
  auto plan = toy::plan_for(shared.path / "straight");
  EXPECT_EQ(toy::run(plan, toy::parts_for(), world), 0);
  plan.run = shared.path / "broken";
  plan.stop_after = 5;
  EXPECT_EQ(toy::run(plan, toy::parts_for(), world), 75);
  EXPECT_EQ(toy::run(plan, toy::parts_for(), world), 0);
  if (world->rank().index == 0) {
    const auto a = metrics(shared.path / "straight"), b = metrics(shared.path / "broken");
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i]["total"], b[i]["total"]) << i;
  }
  world->barrier();
}

TEST(TrainingWorld, AReplicaThatDiffersByOneBitIsNamed) {  // P6, fault table 27
  const int last = world->rank().size - 1;
  try {
    require_equal_replicas(*world, world->rank().index == last ? 8 : 9, 100);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Replicas);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("rank " + std::to_string(last)));
  }
  require_equal_replicas(*world, 9, 200);
}

// What require_equal_settings() tells when rank r has `lines[r]`, of the last one from there on.
std::string refusal(const std::vector<std::string>& lines) {
  const auto own = std::min(static_cast<std::size_t>(world->rank().index), lines.size() - 1);
  try {
    require_equal_settings(*world, lines[own]);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
    return e.summary();
  }
  return "";
}

TEST(TrainingWorld, RanksStartedWithOtherSettingsAreNamedWithEveryKey) {  // fault table 28
  EXPECT_EQ(refusal({"optimizer.clip=3\nstore=a\n"}), "");
  EXPECT_EQ(refusal({"optimizer.clip=3\nstore=a\n", "optimizer.clip=2\nstore=b\n",
                     "optimizer.clip=3\nstore=a\n"}),
            "rank 1 was started with another optimizer.clip: '2', rank 0 has '3'; another store: "
            "'b', rank 0 has 'a'");
  EXPECT_EQ(refusal({"store=a\n", "store=a\nseed=1\n"}),
            (world->rank().size == 2 ? "rank 1 was" : "ranks 1, 2, 3 were") +
                std::string(" started with another seed: '1', rank 0 has '(absent)'"));
}

// This rank's running mean after a step on rows that only it has.
torch::Tensor step_on_own_rows(toy::Toy& objective, int step) {
  torch::manual_seed(static_cast<std::uint64_t>(100 * step + world->rank().index));
  objective::Views views;
  views.tensors["x"] = torch::randn({4, 6}) + world->rank().index;
  objective.evaluate(views, {});
  return moving_buffers(objective.online()).at("norm.running_mean").clone();
}

torch::Tensor sum_over_ranks(const torch::Tensor& mine) {
  torch::Tensor sum = mine.to(torch::kFloat64).contiguous();
  world->all_reduce({sum.data_ptr(), static_cast<std::size_t>(sum.numel()), comm::Scalar::F64},
                    comm::Reduce::Sum, "test");
  return sum;
}

TEST(TrainingWorld, RunningStatisticsAreTheRanksMeanOnEveryRankAndTheTargetsToo) {  // D36
  toy::Toy objective({.poisoned = {}, .dropout = false, .batch_norm = true});
  RunningStatistics statistics(objective);
  for (int step = 0; step < 3; ++step) {
    const torch::Tensor own = step_on_own_rows(objective, step),
                        mean = (sum_over_ranks(own) / world->rank().size).to(torch::kFloat);
    EXPECT_FALSE(torch::allclose(own, mean, 1e-3, 1e-3)) << "the ranks saw the same rows";
    statistics.settle(sum_over_ranks(statistics.local()), world->rank().size);
    const auto online = moving_buffers(objective.online());
    EXPECT_TRUE(torch::equal(online.at("norm.running_mean"), mean)) << step;
    EXPECT_EQ(online.at("norm.num_batches_tracked").item<std::int64_t>(), step + 1);
    for (const auto& [name, buffer] : moving_buffers(*objective.target())) {
      EXPECT_TRUE(torch::equal(buffer, online.at(name))) << name;
      const auto there = world->all_gather(
          hex64(xxh3_64({static_cast<const char*>(buffer.data_ptr()), buffer.nbytes()})));
      for (const auto& hash : there) EXPECT_EQ(hash, there.front()) << name;
    }
  }
}

TEST(TrainingWorld, ReplicasWithBatchNormStayEqualThroughASkippedStepAndAResume) {  // P6
  const SharedFolder shared("norms");
  auto plan = toy::plan_for(shared.path);
  plan.cluster.check_every = 1;  // the run fails where a buffer differs
  plan.checkpoint.every_steps = 1;
  plan.checkpoint.synchronous = true;
  plan.stop_after = 5;
  const auto poisoned = static_cast<std::uint64_t>(2 * 2 * world->rank().size);  // step 2
  const auto parts = toy::parts_for({.poisoned = {poisoned}, .dropout = true, .batch_norm = true});
  EXPECT_EQ(toy::run(plan, parts, world), 75);
  EXPECT_EQ(toy::run(plan, parts, world), 0);
  if (world->rank().index == 0) {
    const auto folders = list_checkpoints(shared.path / "checkpoints");
    ASSERT_EQ(folders.size(), 8u);
    for (const char* stem : {"model", "target"}) {
      const auto at = [&](std::size_t i) { return read_tensors(folders[i], stem); };
      EXPECT_FALSE(torch::equal(at(0).at("norm.running_var"), at(1).at("norm.running_var")));
      EXPECT_TRUE(torch::equal(at(1).at("norm.running_var"), at(2).at("norm.running_var")));
      EXPECT_EQ(at(7).at("norm.num_batches_tracked").item<std::int64_t>(), 7);
    }
  }
  world->barrier();
}

TEST(TrainingWorld,
     ASignalToOneRankStopsAllAtTheSameStep) {  // fault table 5; last, the flag stays up
  const SharedFolder shared("stop");
  if (world->rank().index == world->rank().size - 1) raise_stop_flag(15);
  EXPECT_EQ(toy::run(toy::plan_for(shared.path), toy::parts_for(), world), 75);
  EXPECT_EQ(list_checkpoints(shared.path / "checkpoints").back().filename(), "step-00000001");
  world->barrier();
}

}  // namespace
