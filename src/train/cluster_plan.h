// How the workers of a run find each other and talk: the section [cluster], as far as it is theirs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/options.h"
#include "cluster/comm/communicator.h"

namespace homolog::train {

struct ClusterPlan {
  comm::CommPlan comm;
  double bucket_mb = 25;           // gradients are sent in pieces of this size
  std::int64_t check_every = 100;  // steps between comparisons of all ranks' weights (P6); 0: never
};
void declare(Options& options, ClusterPlan& plan);

// comm::connect(); workers that meet through a file do so beside the run's folder, unless the plan
// names another.
std::unique_ptr<comm::Communicator> join_world(const ClusterPlan& plan,
                                               const std::filesystem::path& run);

}  // namespace homolog::train
