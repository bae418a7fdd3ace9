// All-reduce of the gradients while backward still runs: a bucket leaves when its last gradient is
// there. Buckets leave in index order whatever order they fill in, so ranks cannot disagree.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <span>

#include "cluster/comm/communicator.h"
#include "train/gradient_arena.h"

namespace homolog::train {

class BucketReducer {
 public:
  // Attaches hooks to the arena's parameters until destruction. Both must outlive this.
  BucketReducer(GradientArena& arena, comm::Communicator& communicator);
  ~BucketReducer();
  BucketReducer(const BucketReducer&) = delete;
  BucketReducer& operator=(const BucketReducer&) = delete;

  // Before the backward pass of each micro batch. Only in the last one do buckets leave.
  void arm(bool first_micro_batch, bool last_micro_batch);
  // After the last backward pass: sends what an unused branch left short, and waits (on a GPU the
  // stream waits, not the host). The arena then holds sums over ranks.
  void finish();

  // As if backward had reached these slots: work that repeats a recorded pass runs no hooks.
  void touch(std::span<const std::uint8_t> slots);

  // Per slot, this step: 1 when backward reached it on this rank.
  std::span<const std::uint8_t> touched() const noexcept;
  // Largest magnitude of this rank's own gradient before any reduction, NaN when one is NaN;
  // 0-dim on the arena's device. Valid after finish().
  torch::Tensor local_maximum() const;
  std::uint64_t bytes_sent() const noexcept;  // in total

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// The CUDA stream that Torch now queues work on, as a plain pointer; nullptr for the CPU.
void* current_stream(torch::Device device);

}  // namespace homolog::train
