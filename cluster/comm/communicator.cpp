// Chooses the back-end. Every rank takes the same choice: GPUs are compared over MPI first.
#include "cluster/comm/communicator.h"

#include <set>

#include "base/error.h"
#include "cluster/comm/backends.h"
#include "cluster/topology/environment.h"

namespace homolog::comm {
namespace {

// True when every rank has a GPU of its own. Otherwise `why` names the first rank without.
bool gpu_for_each_rank(Communicator& world, std::string& why) {
  const auto own = gpu_identity(world.rank());
  const auto all = world.all_gather(own.empty() ? "" : world.rank().host + " GPU " + own);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].empty()) {
      why = "rank " + std::to_string(i) + " has no GPU of its own";
      return false;
    }
    if (!seen.insert(all[i]).second) {
      why = "rank " + std::to_string(i) + " would share " + all[i] + " with another rank";
      return false;
    }
  }
  return true;
}

}  // namespace

void Communicator::all_reduce(Buffer host_buffer, Reduce how, std::string_view purpose) {
  refuse_after_failure();
  all_reduce_host(host_buffer, how, purpose);
}

void Communicator::refuse_after_failure() const {
  if (const std::string text = failure(); !text.empty()) {
    throw Error(Fault::Environment, text,
                "a rank is dead, stopped or its GPU or network failed: see the other logs");
  }
}

std::unique_ptr<Communicator> connect(const CommPlan& plan) {
  const std::string& wanted = plan.backend;
  if (wanted != "auto" && wanted != "solo" && wanted != "mpi" && wanted != "nccl") {
    throw Error(Fault::Usage, "cluster.backend = " + wanted, "use one of auto, solo, mpi, nccl");
  }
  const topology::Place place = topology::read_place(topology::process_environment());
  if (place.starter == topology::Starter::SrunWithoutPmix) {
    throw Error(Fault::Environment,
                "srun started " + std::to_string(place.size) +
                    " tasks without PMIx: they cannot find each other",
                topology::pmix_remedy());
  }
  if (wanted == "solo" && place.size > 1) {
    throw Error(Fault::Usage, "cluster.backend = solo in a world of " + std::to_string(place.size),
                "use auto or mpi, or start one worker");
  }
  if (wanted == "solo" || (wanted == "auto" && place.size == 1)) return make_solo();

  std::unique_ptr<Communicator> world = make_mpi(plan);
  if (wanted == "mpi") return world;
  std::string why;
  if (gpu_for_each_rank(*world, why)) return make_nccl(plan, std::move(world));
  if (wanted == "nccl") {
    throw Error(Fault::Environment, "cluster.backend = nccl: " + why,
                "start at most one worker per GPU, or use cluster.backend = mpi");
  }
  return world;
}

}  // namespace homolog::comm
