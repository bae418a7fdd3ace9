// The board: one shared-memory page per worker with a fixed, versioned layout (LAYOUT.md), written
// by the worker, read by the sidecar, readable also after a crash. A seqlock over two slots: the
// writer never waits, and its death in the middle of a report leaves the one before whole.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace homolog::board {

inline constexpr std::uint32_t kBoardVersion = 2;
inline constexpr int kMaxTerms = 12;

enum class Phase : std::uint32_t { Init, Train, Validate, Save, Stopping, Done, Failed };
// Parts of a step; their seconds sum to the step's.
enum class Part : std::uint32_t {
  DataWait,
  HostToDevice,
  Forward,
  Backward,
  AllReduceExposed,
  Clip,
  Optimizer,
  Ema,
  CheckpointBlock,
  Other,
  Count
};
const char* part_name(Part part) noexcept;  // "data_wait", ...
const char* phase_name(Phase phase) noexcept;

struct Term {
  char name[24];  // zero-terminated
  double value;
};

// Trivially copyable. Counters are totals since this process started.
struct StepReport {
  std::int64_t rank, local_rank, world;
  Phase phase;
  std::uint32_t term_count;
  std::int64_t step, total_steps, epoch, total_epochs, steps_per_epoch, resumed_from_step;
  double started_unix, last_step_unix;  // wall clock, s
  double step_seconds;                  // the last step
  std::array<double, static_cast<std::size_t>(Part::Count)> part_seconds_total;
  std::uint64_t steps_total, pairs_total, skipped_total, nonfinite_total;
  std::array<Term, kMaxTerms> terms;  // last logged world means; "total" first
  double learning_rate, weight_decay, ema_momentum, teacher_temperature, gradient_norm;
  double allreduce_seconds_total;
  std::uint64_t allreduce_bytes_total;
  std::uint64_t data_bytes_read, data_bytes_decoded, data_quarantined, data_retries;
  std::uint64_t data_copies_left;
  std::int64_t queue_depth, queue_capacity;
  double checkpoint_last_unix, checkpoint_seconds;
  std::int64_t checkpoint_last_step, checkpoint_bytes, checkpoint_failures;
  double validation_total, validation_best;
  std::uint64_t resident_bytes;
};

// Name of the shared memory object: "/homolog-" + 16 hex digits of the run folder's path + "-" +
// rank.
std::string board_name(const std::string& run_folder, int rank);

class BoardWriter {
 public:
  // Replaces a stale board of the same name. Throws Fault::Environment.
  BoardWriter(const std::string& run_folder, int rank);
  ~BoardWriter();  // leaves the page for the reader; the sidecar or the next run removes it
  void publish(const StepReport& report) noexcept;  // wait-free

 private:
  struct Page;
  Page* page_;
};

class BoardReader {
 public:
  // nullopt when there is none (yet), or it is of another version.
  static std::optional<BoardReader> open(const std::string& run_folder, int rank);
  ~BoardReader();
  BoardReader(BoardReader&& other) noexcept;
  BoardReader& operator=(BoardReader&&) = delete;
  // The last complete report, also of a writer that died while writing the next.
  // nullopt: nothing published yet, or the writer publishes faster than we copy.
  std::optional<StepReport> read() const noexcept;
  bool writer_alive() const noexcept;  // its process still exists on this host

 private:
  friend void remove_dead_boards() noexcept;
  static std::optional<BoardReader> open_named(const std::string& name);
  explicit BoardReader(void* page) : page_(page) {}
  void* page_;
};

// Ranks of the boards that lie on this host for a run, in order; of whatever version, alive or not.
std::vector<int> local_boards(const std::string& run_folder);

void remove_board(const std::string& run_folder, int rank) noexcept;
void remove_boards(const std::string& run_folder, int world) noexcept;
// Those whose worker no longer lives: of one run, or of any run of this user on this host.
void remove_dead_boards(const std::string& run_folder) noexcept;
void remove_dead_boards() noexcept;

}  // namespace homolog::board
