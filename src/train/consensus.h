// One small all-reduce a step: loss terms, the objective's sums, running statistics, non-finite
// flags, stop and save votes. Every rank takes the same decision at the same step; nothing else in
// a step waits for other ranks' hosts (augmentation, masks, row draws and centres copy between this
// host and its device).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/comm/communicator.h"

namespace homolog::train {

// What this rank brings. Every rank brings equally many terms, statistics and slots.
struct Ballot {
  torch::Tensor total;                    // 0-dim, mean over this rank's batch
  std::vector<torch::Tensor> terms;       // 0-dim each
  torch::Tensor statistics;               // flat sums; undefined: none
  torch::Tensor local_maximum;            // 0-dim, of this rank's own gradient (NaN, inf: bad)
  torch::Tensor squared_norm;             // 0-dim, of the reduced mean gradient
  std::span<const std::uint8_t> touched;  // per slot
  bool stop = false, save = false;
  torch::Tensor running{};  // flat float64 (running_statistics.h); undefined: none
};

// What all ranks decided on: equal on every rank.
struct World {
  double total = 0;  // means over ranks
  std::vector<double> terms;
  torch::Tensor statistics;           // sums over ranks, on the ballot's device; undefined: none
  torch::Tensor running;              // sums over ranks, float64 on the host; undefined: none
  double gradient_norm = 0;           // before clipping
  std::vector<int> nonfinite_ranks;   // whose loss or own gradient was not finite
  std::vector<std::uint8_t> touched;  // by any rank
  bool stop = false, save = false;
  bool finite = true;  // false: nobody updates anything
};

class Consensus {
 public:
  explicit Consensus(comm::Communicator& communicator) : communicator_(communicator) {}
  World agree(const Ballot& ballot);

 private:
  comm::Communicator& communicator_;
};

}  // namespace homolog::train
