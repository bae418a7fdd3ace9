// Which rank was the cause, which exit code it gives, and whether to start again.
#include "launcher/verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace homolog::launcher {
namespace {

using ::testing::HasSubstr;

ExitRecord exited(int rank, int code, double at = 1) {
  return {.rank = rank,
          .host = "h" + std::to_string(rank),
          .pid = 10,
          .ended = true,
          .code = code,
          .ended_unix = at};
}
ExitRecord killed(int rank, int signal, double at = 1, bool told_to = false) {
  return {.rank = rank,
          .host = "h" + std::to_string(rank),
          .pid = 10,
          .ended = true,
          .signal = signal,
          .told_to = told_to,
          .ended_unix = at};
}
ExitRecord silent(int rank) {
  return {.rank = rank, .host = "h" + std::to_string(rank), .pid = 10};
}

Outcome outcome(std::vector<ExitRecord> records, int starter_code, bool stop = false,
                std::int64_t step = 8) {
  const int world = static_cast<int>(records.size());
  return explain({.records = std::move(records),
                  .world = world,
                  .starter_code = starter_code,
                  .starter = "mpirun",
                  .stop_requested = stop,
                  .step = step});
}

TEST(Explain, ExitCodesOfTheContract) {
  const struct {
    const char* what;
    Outcome got;
    int code;
    std::optional<int> rank;
  } rows[] = {
      {"all done", outcome({exited(0, 0), exited(1, 0)}, 0), 0, {}},
      {"all stopped", outcome({exited(0, 75), exited(1, 75)}, 0), 75, {}},
      {"killed", outcome({silent(0), killed(1, 9)}, 137), 4, 1},
      {"crashed", outcome({killed(0, 11), killed(1, 15, 2, true)}, 139), 4, 0},
      {"data", outcome({killed(0, 9, 2, true), exited(1, 3)}, 3), 3, 1},
      {"diverged", outcome({exited(0, 5), exited(1, 5)}, 5), 5, 0},
      {"a code outside the contract", outcome({exited(0, 1), silent(1)}, 1), 4, 0},
      {"told to go is not a cause",
       outcome({exited(0, 6, 9), exited(1, 4, 2), killed(2, 9, 1, true)}, 6), 6, 0},
      {"its own reason goes before an earlier complaint",
       outcome({exited(0, 4, 1), exited(1, 3, 2)}, 4), 3, 1},
      {"found by all: the lowest rank tells it", outcome({exited(0, 2, 1.1), exited(1, 2, 1.0)}, 2),
       2, 0},
      {"the earliest complaint", outcome({exited(0, 4, 5), exited(1, 4, 2)}, 4), 4, 1},
      {"left at the second signal",
       outcome({exited(0, 75), killed(1, 9, 2, true)}, 1, true),
       75,
       {}},
      {"left at the second signal before any checkpoint",
       outcome({exited(0, 93), killed(1, 9, 2, true)}, 1, true, -1),
       93,
       {}},
      {"left without a word before any checkpoint", outcome({silent(0)}, 1, true, -1), 93, {}},
      {"failed while stopping", outcome({exited(0, 3), exited(1, 75)}, 3, true), 3, 0},
      {"mpirun failed", outcome({silent(0), silent(1)}, 1), 4, {}},
      {"one left early without a fault", outcome({exited(0, 0), silent(1)}, 0), 4, {}},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(row.got.code, row.code) << row.what;
    EXPECT_EQ(row.got.rank, row.rank) << row.what;
    EXPECT_EQ(row.got.message.empty(), row.code == 0 || row.code == 75) << row.what;
  }
}

TEST(Explain, NamesRankHostEndAndLastLine) {
  ExitRecord cause = killed(3, 9);
  cause.last_line = "step 17";
  const Outcome got = outcome({silent(0), silent(1), silent(2), cause}, 137);
  EXPECT_THAT(got.message,
              HasSubstr("rank 3 on host h3 ended with signal 9 (Killed); its last line: step 17"));
  EXPECT_FALSE(got.remedy.empty());
}

TEST(Explain, AStoppedRankIsTheCauseOfTheOthersComplaint) {
  ExitRecord held = silent(1);
  held.stopped = true;
  const Outcome got = outcome({exited(0, 4), held}, 4);
  EXPECT_EQ(got.rank, 1);
  EXPECT_EQ(got.code, 4);
  EXPECT_THAT(got.message, HasSubstr("rank 1 on host h1 was stopped"));
}

TEST(Explain, MissingRecordsAreSaidNotGuessed) {
  const Outcome got = explain({.records = {}, .world = 4, .starter_code = 1, .starter = "srun"});
  EXPECT_EQ(got.code, 4);
  EXPECT_THAT(got.message, HasSubstr("srun ended with exit code 1; 0 of 4"));
}

TEST(Judge, RestartsOnlyTheMachinesFaultsAndOnlyWithProgress) {
  const Attempt stuck{.world = 2, .step = 10}, moved{.world = 2, .step = 20, .progress = true};
  Attempt asked = moved;
  asked.stop_requested = true;
  const struct {
    const char* what;
    int code;
    Attempt attempt;
    RestartPolicy policy;
    Verdict expected;
  } rows[] = {
      {"done", 0, moved, {3, 0}, Verdict::Done},
      {"stopped", 75, moved, {3, 0}, Verdict::Done},
      {"restarts are off", 4, moved, {0, 0}, Verdict::GiveUp},
      {"progress", 4, moved, {3, 3}, Verdict::Restart},
      {"first without progress", 4, stuck, {3, 0}, Verdict::Restart},
      {"third without progress", 4, stuck, {3, 2}, Verdict::Restart},
      {"fourth", 4, stuck, {3, 3}, Verdict::NoProgress},
      {"usage", 2, moved, {3, 0}, Verdict::GiveUp},
      {"data", 3, moved, {3, 0}, Verdict::GiveUp},
      {"diverged", 5, moved, {3, 0}, Verdict::GiveUp},
      {"replicas", 6, moved, {3, 0}, Verdict::GiveUp},
      {"the user wants it to end", 4, asked, {3, 0}, Verdict::GiveUp},
  };
  for (const auto& row : rows)
    EXPECT_EQ(judge({.code = row.code}, row.attempt, row.policy), row.expected) << row.what;
}

TEST(ExitRecords, SurviveWritingAndIgnoreTornFiles) {
  const auto run = std::filesystem::temp_directory_path() / "homolog_exit_records";
  std::filesystem::remove_all(run);
  ExitRecord record = killed(2, 9, 1795443259.25, true);
  record.last_line = "bytes \xff and \"quotes\"";
  write_exit_record(run, record);
  write_exit_record(run, exited(0, 75));
  std::filesystem::copy_file(run / "exit/rank-0.json", run / "exit/rank-7.json");
  std::filesystem::resize_file(run / "exit/rank-7.json", 20);
  const auto records = read_exit_records(run);
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].code, 75);
  EXPECT_EQ(records[1].signal, 9);
  EXPECT_TRUE(records[1].told_to);
  EXPECT_EQ(records[1].ended_unix, 1795443259.25);
  EXPECT_THAT(records[1].last_line, HasSubstr("and \"quotes\""));
  EXPECT_THROW(from_json("{}", "x"), Error);
  remove_exit_records(run);
  EXPECT_TRUE(read_exit_records(run).empty());
  std::filesystem::remove_all(run);
}

}  // namespace
}  // namespace homolog::launcher
