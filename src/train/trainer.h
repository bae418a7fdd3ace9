// The training loop. Receives its parts ready-made and builds none; the step reads from top to
// bottom and every rank walks through it in the same way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/comm/communicator.h"
#include "objective/objective.h"
#include "train/bucket_reducer.h"
#include "train/checkpoint_writer.h"
#include "train/consensus.h"
#include "train/gradient_arena.h"
#include "train/gradient_pass.h"
#include "train/kept_buffers.h"
#include "train/optimizer.h"
#include "train/replica.h"
#include "train/run_report.h"
#include "train/running_statistics.h"
#include "train/schedule.h"
#include "train/source.h"

namespace homolog::train {

// All must outlive the trainer.
struct TrainerParts {
  objective::Objective& objective;
  Source& source;  // at the state's cursor
  comm::Communicator& communicator;
  GradientArena& arena;
  BucketReducer& reducer;
  Optimizer& optimizer;
  Replica& replica;
  CheckpointWriter& checkpoints;
  RunReport& report;
};

struct TrainerPlan {
  std::int64_t accumulate = 1;
  bool records = false;  // passes are recorded and repeated (GradientPass)
  std::int64_t max_skipped = 10;
  std::int64_t check_every = 100;  // 0: never
  std::int64_t stop_after = 0;     // steps of this process; 0: no limit
  CheckpointPlan checkpoint;
};

class Trainer {
 public:
  Trainer(const TrainerParts& parts, const TrainerPlan& plan, const Schedule& schedule,
          TrainState state);

  // Until the schedule's end (true) or a stop (false); a checkpoint of the last step exists then.
  // Throws Diverged, Replicas, and whatever source, communicator and objective throw.
  bool run();
  const TrainState& state() const noexcept { return state_; }

 private:
  World step(StepFacts& facts, Laps& laps);
  Batch take_batch(Laps& laps);
  objective::StepInfo info(std::int64_t step, bool training) const;
  std::vector<std::uint8_t> active_slots(const World& world, std::int64_t epoch) const;
  void settle_skipped(const World& world);
  [[noreturn]] void diverge();
  bool wants_stop() const;
  bool wants_save() const;
  bool validate(std::int64_t step);  // true: the best so far
  void save(bool best);

  TrainerParts parts_;
  TrainerPlan plan_;
  const Schedule& schedule_;
  TrainState state_;
  GradientPass pass_;
  Consensus consensus_;
  KeptBuffers buffers_;
  RunningStatistics statistics_;
  std::optional<Batch> ahead_;           // taken early, because a checkpoint names its ids
  std::vector<std::uint64_t> last_ids_;  // of this rank's last step
  std::vector<std::string> term_names_;
  std::vector<bool> bad_ranks_;  // in the present row of skipped steps
  Stopwatch since_save_;
  double save_seconds_ = 0;  // of the save since the last step; the next step reports it
  double job_end_unix_ = 0;  // SLURM's, 0: none
  std::int64_t steps_here_ = 0;
  bool gradients_are_zero_ = false;  // the update leaves them so, a skipped step does not
};

}  // namespace homolog::train
