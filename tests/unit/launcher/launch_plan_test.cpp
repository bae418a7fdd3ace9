// Which commands a request turns into.
#include "launcher/launch_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"

namespace homolog::launcher {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;
using ::testing::Not;

const std::vector<std::string> kConfig = {"--config", "configs/alice.ini", "--set", "data.batch=2",
                                          "--set",    "monitor.port=9500"};

Machine machine() {
  Machine m;
  m.programs = "/opt/bin";
  m.cores = 8;
  return m;
}

Machine allocation(int hosts, int tasks) {
  Machine m = machine();
  m.allocation.emplace();
  m.allocation->job = "7";
  m.allocation->tasks = tasks;
  for (int i = 0; i < hosts; ++i)
    m.allocation->hosts.push_back({"n" + std::to_string(i), tasks / hosts});
  m.allocation->cores_per_task = 6;
  return m;
}

TEST(LaunchPlan, AnyProgramCanBeStartedAsAWorldByTheSameWords) {
  LaunchRequest request;
  request.workers = 2;
  const WorldStart start = plan_start(request, machine());
  EXPECT_EQ(start.world, 2);
  const LaunchPlan plan = plan_launch(request, kConfig, machine());
  ASSERT_GT(plan.workers.size(), start.words.size());
  EXPECT_TRUE(std::equal(start.words.begin(), start.words.end(), plan.workers.begin()));
  EXPECT_EQ(start.environment, plan.environment);
  request.workers = 1;
  EXPECT_THAT(plan_start(request, machine()).words, ::testing::IsEmpty());  // alone, without MPI
  request.workers = 0;
  EXPECT_EQ(plan_start(request, allocation(2, 8)).words.front(), "srun");
}

TEST(LaunchPlan, SeveralWorkersGoThroughMpirunWithTheirShareOfCores) {
  LaunchRequest request;
  request.workers = 2;
  const LaunchPlan plan = plan_launch(request, kConfig, machine());
  EXPECT_EQ(plan.starter, "mpirun");
  EXPECT_EQ(plan.environment.at("OMP_NUM_THREADS"), "4");
  EXPECT_THAT(plan.workers, IsSupersetOf({"mpirun", "--oversubscribe", "-np", "2", "--bind-to",
                                          "none", "/opt/bin/homolog-train"}));
  EXPECT_THAT(plan.workers, Not(Contains("--allow-run-as-root")));
  Machine root = machine();
  root.root = true;
  EXPECT_THAT(plan_launch(request, kConfig, root).workers, Contains("--allow-run-as-root"));
}

TEST(LaunchPlan, HandsOnConfigurationButNotTheMonitorsSection) {
  const LaunchPlan plan = plan_launch({}, kConfig, machine());
  EXPECT_THAT(plan.workers, IsSupersetOf({"--config", "configs/alice.ini", "--set", "data.batch=2",
                                          "--resume", "auto"}));
  EXPECT_THAT(plan.workers, Not(Contains("monitor.port=9500")));
}

TEST(LaunchPlan, AWorkerProgramBringsItsFirstWords) {
  LaunchRequest request;
  request.worker_program = "homolog-sam train --catalog c.jsonl";
  const auto words = plan_launch(request, kConfig, machine()).workers;
  const std::vector<std::string> head(words.begin() + 4, words.begin() + 9);
  EXPECT_THAT(head, ElementsAre("/opt/bin/homolog-sam", "train", "--catalog", "c.jsonl", "--run"));
  request.worker_program = "./own/worker";
  EXPECT_THAT(plan_launch(request, kConfig, machine()).workers, Contains("./own/worker"));
}

TEST(LaunchPlan, OverwritingGoesWithResumeNoneAlone) {
  LaunchRequest request;
  request.overwrite = true;
  try {
    plan_launch(request, kConfig, machine());
    FAIL() << "--overwrite was taken with --resume auto";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
  }
  request.resume = "none";
  EXPECT_THAT(plan_launch(request, kConfig, machine()).workers, Contains("--overwrite"));
}

TEST(LaunchPlan, OurOwnWorkersCheckTheirSettingsFirst) {
  LaunchRequest request;
  request.workers = 2;
  EXPECT_EQ(shell_line(plan_launch(request, kConfig, machine()).check),
            "/opt/bin/homolog-train --run runs/alice --resume auto --config configs/alice.ini "
            "--set data.batch=2 --check-config");
  request.worker_program = "./own/worker";
  EXPECT_TRUE(plan_launch(request, kConfig, machine()).check.empty());
}

TEST(LaunchPlan, HandsTheMonitorHowLongToStayAndToWait) {
  LaunchRequest request;
  EXPECT_THAT(plan_launch(request, kConfig, machine()).monitor, Not(Contains("--linger")));
  request.monitor.linger = 7;
  request.monitor.wait = -1;
  EXPECT_THAT(plan_launch(request, kConfig, machine()).monitor,
              IsSupersetOf({"--linger", "7", "--wait", "-1"}));
}

TEST(LaunchPlan, OneWorkerNeedsNoMpi) {
  const LaunchPlan plan = plan_launch({}, kConfig, machine());
  EXPECT_EQ(plan.world, 1);
  EXPECT_EQ(plan.workers.front(), "/opt/bin/homolog-launch");
  EXPECT_EQ(plan.environment.at("OMP_NUM_THREADS"), "8");
}

TEST(LaunchPlan, AUsersOwnThreadCountStands) {
  Machine m = machine();
  m.omp_threads_set = true;
  EXPECT_TRUE(plan_launch({}, kConfig, m).environment.empty());
}

TEST(LaunchPlan, AWorkerAGpuUnlessTheUserSaysOtherwise) {
  Machine m = machine();
  m.gpus = 4;
  EXPECT_EQ(plan_launch({}, kConfig, m).world, 4);
  LaunchRequest request;
  request.workers = 3;
  EXPECT_EQ(plan_launch(request, kConfig, m).world, 3);
}

TEST(LaunchPlan, InsideAnAllocationSrunStartsWorkersAndOneMonitorANode) {
  const LaunchPlan plan = plan_launch({}, kConfig, allocation(2, 8));
  EXPECT_EQ(plan.starter, "srun");
  EXPECT_EQ(plan.world, 8);
  EXPECT_THAT(plan.workers, IsSupersetOf({"srun", "--mpi=pmix", "--ntasks=8",
                                          "--kill-on-bad-exit=1", "--cpus-per-task=6"}));
  EXPECT_THAT(plan.monitor, IsSupersetOf({"srun", "--overlap", "--nodes=2", "--ntasks-per-node=1",
                                          "/opt/bin/homolog-monitor"}));
  EXPECT_EQ(plan_launch({}, kConfig, allocation(1, 8)).monitor.front(), "/opt/bin/homolog-monitor");
}

TEST(LaunchPlan, AHostFileGivesTheWorldAndReachesMpirun) {
  LaunchRequest request;
  request.hostfile = "my.hosts";
  Machine m = machine();
  m.hosts = {{"n1", 4}, {"n2", 4}};
  const LaunchPlan plan = plan_launch(request, kConfig, m);
  EXPECT_EQ(plan.world, 8);
  EXPECT_EQ(plan.environment.at("OMP_NUM_THREADS"), "2");
  EXPECT_THAT(plan.workers, IsSupersetOf({"--hostfile", "my.hosts"}));
}

TEST(LaunchPlan, ARestartAlwaysResumesAndNeverOverwrites) {
  LaunchRequest request;
  request.resume = "none";
  request.overwrite = true;
  const LaunchPlan plan = plan_launch(request, kConfig, machine());
  EXPECT_THAT(plan.workers, IsSupersetOf({"--resume", "none", "--overwrite"}));
  EXPECT_THAT(plan.workers_again, IsSupersetOf({"--resume", "auto"}));
  EXPECT_THAT(plan.workers_again, Not(Contains("--overwrite")));
  EXPECT_TRUE(plan.again_after_save);
}

TEST(LaunchPlan, TheRunIsNamedAfterTheLastConfigFile) {
  EXPECT_EQ(plan_launch({}, {"--config", "a/base.ini", "--config", "b/more.ini"}, machine()).run,
            "runs/more");
  EXPECT_THROW(plan_launch({}, {}, machine()), Error);
}

TEST(LaunchPlan, MonitorMayBeOff) {
  LaunchRequest request;
  request.monitor.enabled = false;
  EXPECT_TRUE(plan_launch(request, kConfig, machine()).monitor.empty());
}

TEST(ForeignSections, AreThoseOfFilesAndWordsExceptTheMonitors) {
  const auto file = std::filesystem::temp_directory_path() / "homolog_foreign_sections.ini";
  std::ofstream(file) << "# c\n[data]\nx = 1\n  [alice.deep]\n[monitor]\nport = 1\n";
  EXPECT_THAT(foreign_sections({"--config", file, "--set", "model.name=x", "--set=casa.y=1",
                                "--schedule.steps=3", "--run", "a.b"}),
              ElementsAre("alice", "casa", "data", "model", "schedule"));
  std::filesystem::remove(file);
}

TEST(ShellLine, QuotesWhatAShellWouldTakeApart) {
  EXPECT_EQ(shell_line({"a", "b c", "it's", "", "x=1"}), "a 'b c' 'it'\\''s' '' x=1");
}

}  // namespace
}  // namespace homolog::launcher
