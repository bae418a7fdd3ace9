// Saves while training goes on: copies into host buffers that are kept, then a thread writes them.
// A failed write is counted and logged; the older checkpoint stays, training continues.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "train/checkpoint.h"

namespace homolog::train {

class CheckpointWriter {
 public:
  struct Status {
    std::int64_t last_step = -1, bytes = 0, failures = 0;
    double last_unix = 0, seconds = 0;  // seconds: of the last write
    std::string last_error;             // of the last write; "": it succeeded
  };

  // `writes`: false on every rank but the first, which makes save() free.
  CheckpointWriter(std::filesystem::path checkpoints, const CheckpointPlan& plan, bool writes);
  ~CheckpointWriter();  // finishes the write under way

  // Copy `live` and write it as step-N in the background; waits for the previous write first.
  // `best`: afterwards the link best/ points here.
  void save(const TrainState& state, const TensorFiles& live, bool best);
  void drain();  // wait until nothing is under way
  Status status();

 private:
  void work();
  void write();
  void retain(const std::filesystem::path& newest, bool best);

  std::filesystem::path checkpoints_;
  CheckpointPlan plan_;
  bool writes_;
  TrainState state_;
  TensorFiles snapshot_;  // kept host buffers
  bool best_ = false, pending_ = false, quit_ = false;
  Status status_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
};

}  // namespace homolog::train
