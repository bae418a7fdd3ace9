// Where workers without MPI meet, from faked environments.
#include "cluster/topology/rendezvous.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/unit/topology/fake_environment.h"

namespace homolog::topology {
namespace {

const Variables kStep = {{"SLURM_JOB_ID", "4711"},
                         {"SLURM_STEP_ID", "2"},
                         {"SLURM_JOB_NODELIST", "n[7-9]"},
                         {"SLURM_STEP_NODELIST", "n[8-9]"}};
const Variables kTorchrun = {
    {"MASTER_ADDR", "head"}, {"MASTER_PORT", "29400"}, {"TORCHELASTIC_RUN_ID", "r1"}};

TEST(Rendezvous, IsAsGivenElseTheMastersElseMadeOfTheStep) {
  const struct {
    const char* given;
    Variables variables;
    const char* text;
  } rows[] = {
      {"n1:29400", kStep, "n1:29400"},
      {"[fd00::1]:29400", {}, "[fd00::1]:29400"},
      {"", kTorchrun, "head:29400"},
      {"", kStep, "n8:15378"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(choose_rendezvous("tcp", row.given, fake(row.variables)).text(), row.text);
  EXPECT_EQ(choose_rendezvous("file", "a/b", fake(kStep)).file, "a/b");
}

TEST(Rendezvous, StepsOfOneJobAndJobsInARowMeetAtPortsOfTheirOwn) {
  std::map<int, int> met;
  for (int job = 100; job < 200; ++job) {
    for (int step = 0; step < 8; ++step) {
      Variables variables = kStep;
      variables["SLURM_JOB_ID"] = std::to_string(job);
      variables["SLURM_STEP_ID"] = std::to_string(step);
      const int port = choose_rendezvous("tcp", "", fake(variables)).port;
      EXPECT_EQ(++met[port], 1);
      EXPECT_GT(port, 1023);
      EXPECT_LT(port, 32768);
    }
  }
}

TEST(Rendezvous, AWorldIsKnownByItsStepUnlessTheUserNamesIt) {
  const auto id = [](Variables variables) {
    return choose_rendezvous("file", "f", fake(std::move(variables))).world_id;
  };
  EXPECT_EQ(id(kStep), "SLURM 4711.2.0");
  Variables again = kStep;
  again["SLURM_RESTART_COUNT"] = "1";
  EXPECT_EQ(id(again), "SLURM 4711.2.1");
  again["HOMOLOG_WORLD_ID"] = "mine";
  EXPECT_EQ(id(again), "mine");
  EXPECT_EQ(id(kTorchrun), "r1");
  EXPECT_EQ(id({}), "");
}

TEST(Rendezvous, RefusesWhatIsNoPlaceNamingIt) {
  const struct {
    const char* kind;
    const char* given;
    Variables variables;
    const char* named;
  } rows[] = {
      {"tcp", "n1", {}, "cluster.rendezvous = n1"},
      {"tcp", ":29400", {}, "cluster.rendezvous = :29400"},
      {"tcp", "n1:0", {}, "'0' is no port"},
      {"tcp", "n1:70000", {}, "'70000' is no port"},
      {"tcp", "n1:29x", {}, "'29x' is no port"},
      {"tcp", "fd00::1:29400", {}, "needs brackets"},
      {"tcp", "/a/b:1", {}, "is not HOST:PORT"},
      {"tcp", "", {}, "nothing says where rank 0 is"},
      {"tcp", "", {{"MASTER_ADDR", "a"}}, "MASTER_PORT is not"},
      {"tcp", "", {{"MASTER_ADDR", "a"}, {"MASTER_PORT", "x"}}, "MASTER_PORT = x"},
      {"file", "", {}, "no file is named"},
  };
  for (const auto& row : rows) {
    try {
      choose_rendezvous(row.kind, row.given, fake(row.variables));
      ADD_FAILURE() << row.named;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage);
      EXPECT_THAT(e.what(), ::testing::HasSubstr(row.named));
    }
  }
}

TEST(Rendezvous, AStepOfSlurmThatDoesNotNameItsHostsIsPointedAtPmix) {
  try {
    choose_rendezvous("tcp", "", fake({{"SLURM_JOB_ID", "1"}}));
    ADD_FAILURE() << "there is no host";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Environment);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("no SLURM_JOB_NODELIST"));
    EXPECT_THAT(e.remedy(), ::testing::HasSubstr("srun --mpi=pmix"));
  }
}

}  // namespace
}  // namespace homolog::topology
