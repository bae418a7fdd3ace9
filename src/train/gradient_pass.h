// Loss and gradients of one micro batch: evaluated as they stand, or recorded once an epoch and
// then repeated with one launch (cluster.cuda_graph).
#pragma once

#include <torch/types.h>

#include <memory>

#include "objective/objective.h"
#include "train/bucket_reducer.h"
#include "train/recorded_work.h"
#include "train/run_report.h"

namespace homolog::train {

class GradientPass {
 public:
  // All must outlive it. `records` needs an objective of fixed work; without one, and where the
  // device refuses to record, passes are evaluated as they stand, with a line in the log.
  GradientPass(objective::Objective& objective, BucketReducer& reducer, torch::Device device,
               bool records);

  // Adds the gradients of the mean loss over `views` to the arena. In the last micro batch buckets
  // depart as they fill; a recorded pass has no such moment, and they depart in
  // BucketReducer::finish().
  objective::Loss run(const objective::Views& views, const objective::StepInfo& info,
                      bool first_micro_batch, bool last_micro_batch, Laps& laps);
  bool is_recorded() const noexcept { return recording_ != nullptr; }

 private:
  objective::Loss plain(const objective::Views& views, const objective::StepInfo& info, Laps& laps);
  bool fits(const objective::Views& ready, const objective::StepInfo& info) const;
  void keep(const objective::Views& ready, const objective::StepInfo& info);
  bool start_recording(const objective::StepInfo& info);

  objective::Objective& objective_;
  BucketReducer& reducer_;
  torch::Device device_;
  bool records_;
  int plain_passes_ = 0;     // before the first recording
  objective::Views inputs_;  // what a recording reads, at the same places
  std::int64_t epoch_ = -1;  // of the recording, whose numbers may be the epoch's
  objective::Loss outputs_;  // of the last replay
  std::vector<std::uint8_t> touched_;
  std::unique_ptr<RecordedWork> recording_;
};

}  // namespace homolog::train
