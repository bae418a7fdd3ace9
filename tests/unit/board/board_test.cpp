// The board between a worker and the sidecar: torn reads, crashes, stale and foreign pages.
#include "monitoring/board/board.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <thread>

namespace homolog::board {
namespace {

// Every number of the report derives from n, so that a mixture of two reports shows.
StepReport report_of(std::int64_t n) {
  StepReport r{};
  r.rank = r.local_rank = r.world = r.step = r.total_steps = r.epoch = n;
  r.phase = Phase::Train;
  r.term_count = 1;
  std::strncpy(r.terms[0].name, "total", sizeof r.terms[0].name - 1);
  for (Term& term : r.terms) term.value = static_cast<double>(n);
  r.part_seconds_total.fill(static_cast<double>(n));
  r.steps_total = r.pairs_total = r.resident_bytes = static_cast<std::uint64_t>(n);
  return r;
}

bool whole(const StepReport& r) {
  const double n = static_cast<double>(r.rank);
  bool same = r.step == r.rank && r.epoch == r.rank &&
              r.resident_bytes == static_cast<std::uint64_t>(r.rank);
  for (const Term& term : r.terms) same = same && term.value == n;
  for (const double seconds : r.part_seconds_total) same = same && seconds == n;
  return same;
}

class Board : public testing::Test {
 protected:
  void SetUp() override {
    run_ =
        (std::filesystem::temp_directory_path() / ("board-" + std::to_string(getpid()))).string();
    remove_boards(run_, 4);
  }
  void TearDown() override { remove_boards(run_, 4); }
  std::string run_;
};

TEST_F(Board, ReaderSeesTheLastReport) {
  BoardWriter writer(run_, 0);
  auto reader = BoardReader::open(run_, 0);
  ASSERT_TRUE(reader);
  EXPECT_FALSE(reader->read()) << "nothing was published yet";
  for (int n = 1; n < 5; ++n) {
    writer.publish(report_of(n));
    ASSERT_TRUE(reader->read());
    EXPECT_EQ(reader->read()->step, n);
  }
  EXPECT_STREQ(reader->read()->terms[0].name, "total");
  EXPECT_TRUE(reader->writer_alive());
}

TEST_F(Board, NoBoardIsAbsence) { EXPECT_FALSE(BoardReader::open(run_, 3)); }

TEST_F(Board, NameIgnoresHowThePathIsSpelled) {
  EXPECT_EQ(board_name("/tmp/run", 1), board_name("/tmp//x/../run/", 1));
  EXPECT_NE(board_name("/tmp/run", 1), board_name("/tmp/run2", 1));
  EXPECT_NE(board_name("/tmp/run", 1), board_name("/tmp/run", 2));
}

TEST_F(Board, ThreadsNeverSeeAMixtureOfTwoReports) {
  BoardWriter writer(run_, 0);
  std::atomic<bool> stop{false};
  std::thread publisher([&] {
    for (std::int64_t n = 1; !stop; ++n) writer.publish(report_of(n));
  });
  auto reader = BoardReader::open(run_, 0);
  ASSERT_TRUE(reader);
  int reads = 0, torn = 0, backwards = 0;
  std::int64_t last = 0;
  while (reads < 20000) {  // however late the publisher is scheduled
    const auto report = reader->read();
    if (!report) {
      std::this_thread::yield();
      continue;
    }
    ++reads;
    torn += !whole(*report);
    backwards += report->step < last;
    last = report->step;
  }
  stop = true;
  publisher.join();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(backwards, 0);
}

TEST_F(Board, SurvivesAWriterKilledAtAnyMoment) {
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      BoardWriter writer(run_, 1);
      for (std::int64_t n = 1;; ++n) writer.publish(report_of(n));
    }
    std::optional<BoardReader> reader;
    std::optional<StepReport> live;
    while (!live) {
      if (!reader) {
        auto found = BoardReader::open(run_, 1);
        if (found && found->writer_alive()) reader.emplace(std::move(*found));
      }
      if (reader) live = reader->read();
    }
    EXPECT_TRUE(whole(*live));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_FALSE(reader->writer_alive());
    const auto after = BoardReader::open(run_, 1)->read();
    ASSERT_TRUE(after) << "the last complete report outlives its writer";
    EXPECT_TRUE(whole(*after));
    EXPECT_GE(after->step, live->step);
  }
}

TEST_F(Board, AZombieIsDead) {
  const pid_t child = fork();
  if (child == 0) {
    BoardWriter writer(run_, 1);
    writer.publish(report_of(1));
    _exit(0);
  }
  siginfo_t info{};
  waitid(P_PID, child, &info, WEXITED | WNOWAIT);  // ended, not reaped
  EXPECT_FALSE(BoardReader::open(run_, 1)->writer_alive());
  waitpid(child, nullptr, 0);
}

TEST_F(Board, NewWriterReplacesAStaleBoardAndOldReadersKeepTheirs) {
  auto old_writer = std::make_unique<BoardWriter>(run_, 0);
  old_writer->publish(report_of(7));
  auto old_reader = BoardReader::open(run_, 0);
  old_writer.reset();
  BoardWriter writer(run_, 0);
  EXPECT_FALSE(BoardReader::open(run_, 0)->read());
  writer.publish(report_of(1));
  EXPECT_EQ(BoardReader::open(run_, 0)->read()->step, 1);
  EXPECT_EQ(old_reader->read()->step, 7);
}

// Overwrites 8 bytes of the shared object, as a writer of another build would have left it.
void poke(const std::string& name, off_t at, std::uint64_t value) {
  const int descriptor = shm_open(name.c_str(), O_RDWR, 0);
  ASSERT_GE(descriptor, 0);
  ASSERT_EQ(pwrite(descriptor, &value, sizeof value, at), 8);
  close(descriptor);
}

TEST_F(Board, AnotherVersionIsIgnored) {
  BoardWriter writer(run_, 0);
  writer.publish(report_of(1));
  ASSERT_TRUE(BoardReader::open(run_, 0));
  poke(board_name(run_, 0), 8, std::uint64_t{kBoardVersion + 1} << 32 | 1616);
  EXPECT_FALSE(BoardReader::open(run_, 0));
}

TEST_F(Board, AnotherSizeOrMagicIsIgnored) {
  BoardWriter writer(run_, 0);
  poke(board_name(run_, 0), 0, 42);
  EXPECT_FALSE(BoardReader::open(run_, 0));
  BoardWriter other(run_, 1);
  const int descriptor = shm_open(board_name(run_, 1).c_str(), O_RDWR, 0);
  ASSERT_EQ(ftruncate(descriptor, 100), 0);
  close(descriptor);
  EXPECT_FALSE(BoardReader::open(run_, 1));
}

TEST_F(Board, AWildTermCountIsBounded) {
  BoardWriter writer(run_, 0);
  StepReport report = report_of(1);
  report.term_count = 4000;
  std::memset(report.terms[0].name, 'x', sizeof report.terms[0].name);
  writer.publish(report);
  const auto seen = BoardReader::open(run_, 0)->read();
  EXPECT_EQ(seen->term_count, static_cast<std::uint32_t>(kMaxTerms));
  EXPECT_EQ(std::strlen(seen->terms[0].name), sizeof seen->terms[0].name - 1);
}

TEST_F(Board, ListsAndRemovesTheRunsBoardsOnly) {
  BoardWriter a(run_, 0), b(run_, 2), other(run_ + "-other", 1);
  EXPECT_EQ(local_boards(run_), (std::vector<int>{0, 2}));
  remove_boards(run_, 3);
  EXPECT_TRUE(local_boards(run_).empty());
  EXPECT_EQ(local_boards(run_ + "-other"), (std::vector<int>{1}));
  remove_boards(run_ + "-other", 2);
}

TEST_F(Board, RemovesBoardsOfDeadWorkersOfAnyRunAndNoOthers) {
  const pid_t child = fork();
  if (child == 0) {
    const BoardWriter dead(run_ + "-dead", 0), also(run_, 1);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  const BoardWriter alive(run_, 0);
  ASSERT_EQ(local_boards(run_), (std::vector<int>{0, 1}));
  remove_dead_boards(run_);
  EXPECT_EQ(local_boards(run_), (std::vector<int>{0}));
  EXPECT_EQ(local_boards(run_ + "-dead"), (std::vector<int>{0}));
  remove_dead_boards();
  EXPECT_TRUE(local_boards(run_ + "-dead").empty());
  EXPECT_EQ(local_boards(run_), (std::vector<int>{0}));
}

TEST_F(Board, AForeignPidSpacesBoardIsNotJudgedByAPidThatMeansNothingHere) {
  const std::string foreign = run_ + "-foreign";
  const pid_t child = fork();
  if (child == 0) {
    const BoardWriter dead(foreign, 0);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  poke(board_name(foreign, 0), 40, 1);
  remove_dead_boards();
  EXPECT_EQ(local_boards(foreign), (std::vector<int>{0}));
  remove_boards(foreign, 1);
}

TEST_F(Board, EveryPartAndPhaseHasAName) {
  for (int i = 0; i < static_cast<int>(Part::Count); ++i) {
    EXPECT_STRNE(part_name(static_cast<Part>(i)), "unknown");
  }
  EXPECT_STREQ(part_name(Part::Count), "unknown");
  EXPECT_STREQ(phase_name(Phase::Failed), "failed");
}

}  // namespace
}  // namespace homolog::board
