// What started us, from faked environments.
#include "cluster/topology/environment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/unit/topology/fake_environment.h"

namespace homolog::topology {
namespace {

TEST(Place, TellsTheStarterFromTheVariables) {
  const Variables batch = {{"SLURM_JOB_ID", "7"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}};
  Variables step = batch, pmix, inside = batch;
  step.insert({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}});
  step["SLURM_PROCID"] = "3";
  pmix = step;
  pmix["PMIX_RANK"] = "3";
  Variables one = step;
  one["SLURM_STEP_NUM_TASKS"] = "1";
  Variables mpirun_in_step = step;
  mpirun_in_step.insert({{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "1"}});
  const Variables torchrun = {
      {"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "29400"}};
  Variables torchrun_in_step = one;
  torchrun_in_step.insert(torchrun.begin(), torchrun.end());
  const struct {
    const char* what;
    Variables variables;
    Starter starter;
    int index, size;
  } rows[] = {
      {"by hand", {}, Starter::Nobody, 0, 1},
      {"mpirun",
       {{"OMPI_COMM_WORLD_SIZE", "8"}, {"OMPI_COMM_WORLD_RANK", "5"}},
       Starter::Mpirun,
       5,
       8},
      {"in a batch script", batch, Starter::Nobody, 0, 1},
      {"srun without PMIx", step, Starter::SrunWithoutPmix, 3, 4},
      {"srun --mpi=pmix", pmix, Starter::SrunPmix, 3, 4},
      {"srun -n1 --pty bash", one, Starter::Nobody, 0, 1},
      {"mpirun in a shell that srun started", mpirun_in_step, Starter::Mpirun, 1, 2},
      {"by hand, with ranks",
       {{"HOMOLOG_RANK", "2"}, {"HOMOLOG_WORLD", "3"}},
       Starter::ByHand,
       2,
       3},
      {"torchrun", torchrun, Starter::ByHand, 1, 2},
      {"torchrun in a shell that srun started", torchrun_in_step, Starter::ByHand, 1, 2},
      {"some other program's RANK", {{"RANK", "1"}, {"WORLD_SIZE", "2"}}, Starter::Nobody, 0, 1},
  };
  for (const auto& row : rows) {
    const Place place = read_place(fake(row.variables));
    EXPECT_EQ(place.starter, row.starter) << row.what;
    EXPECT_EQ(place.index, row.index) << row.what;
    EXPECT_EQ(place.size, row.size) << row.what;
  }
}

TEST(Place, RefusesBrokenNumbersNamingTheVariable) {
  try {
    read_place(fake({{"OMPI_COMM_WORLD_SIZE", "many"}}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Environment);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("OMPI_COMM_WORLD_SIZE"));
  }
}

TEST(Place, RefusesHalfAPlaceAndARankOutsideItsWorld) {
  const struct {
    Variables variables;
    const char* named;
  } rows[] = {
      {{{"HOMOLOG_RANK", "0"}}, "HOMOLOG_WORLD"},
      {{{"HOMOLOG_WORLD", "2"}}, "HOMOLOG_RANK"},
      {{{"HOMOLOG_RANK", "2"}, {"HOMOLOG_WORLD", "2"}}, "HOMOLOG_RANK = 2"},
      {{{"HOMOLOG_RANK", "-1"}, {"HOMOLOG_WORLD", "2"}}, "HOMOLOG_RANK = -1"},
      {{{"RANK", "0"}, {"WORLD_SIZE", "0"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}},
       "WORLD_SIZE"},
  };
  for (const auto& row : rows) {
    try {
      read_place(fake(row.variables));
      ADD_FAILURE() << row.named;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Environment);
      EXPECT_THAT(e.what(), ::testing::HasSubstr(row.named));
    }
  }
}

TEST(Place, TellsThePlaceOnTheHostWhereTheStarterDoes) {
  EXPECT_EQ(read_place(fake({{"HOMOLOG_RANK", "5"}, {"HOMOLOG_WORLD", "8"}})).local_index,
            std::nullopt);
  EXPECT_EQ(
      read_place(fake({{"HOMOLOG_RANK", "5"}, {"HOMOLOG_WORLD", "8"}, {"HOMOLOG_LOCAL_RANK", "1"}}))
          .local_index,
      1);
}

TEST(Allocation, ReadsHostsTasksAndCores) {
  EXPECT_FALSE(read_allocation(fake({})));
  const auto allocation = read_allocation(fake({{"SLURM_JOB_ID", "42"},
                                                {"SLURM_JOB_NODELIST", "n[1-3]"},
                                                {"SLURM_TASKS_PER_NODE", "4(x2),2"},
                                                {"SLURM_CPUS_PER_TASK", "12"},
                                                {"SLURM_RESTART_COUNT", "1"}}));
  ASSERT_TRUE(allocation);
  EXPECT_EQ(allocation->tasks, 10);
  EXPECT_EQ(allocation->hosts.at(2), (Host{"n3", 2}));
  EXPECT_EQ(allocation->cores_per_task, 12);
  EXPECT_EQ(allocation->restarts, 1);
  EXPECT_EQ(read_allocation(
                fake({{"SLURM_JOB_ID", "42"}, {"SLURM_JOB_NODELIST", "n1"}, {"SLURM_NTASKS", "8"}}))
                ->tasks,
            8);
}

TEST(Allocation, NamesTheVariableThatIsMissingOrDisagrees) {
  EXPECT_THROW(read_allocation(fake({{"SLURM_JOB_ID", "42"}})), Error);
  EXPECT_THROW(read_allocation(fake({{"SLURM_JOB_ID", "1"},
                                     {"SLURM_JOB_NODELIST", "n[1-2]"},
                                     {"SLURM_TASKS_PER_NODE", "4"}})),
               Error);
}

}  // namespace
}  // namespace homolog::topology
