// Chooses bootstrap and back-end. Every rank takes the same choice: GPUs are compared over the
// world of host memory first.
#include "cluster/comm/communicator.h"

#include <initializer_list>
#include <set>

#include "base/error.h"
#include "base/log.h"
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

void require_one_of(const std::string& key, const std::string& value,
                    std::initializer_list<const char*> choices) {
  std::string all;
  for (const char* choice : choices) {
    if (value == choice) return;
    all += (all.empty() ? "" : ", ") + std::string(choice);
  }
  throw Error(Fault::Usage, key + " = " + value, "use one of " + all);
}

// mpi, tcp or file, from the plan and from what started this process.
std::string choose_bootstrap(const CommPlan& plan, const topology::Place& place) {
  using topology::Starter;
  const bool without_mpi =
      place.starter == Starter::SrunWithoutPmix || place.starter == Starter::ByHand;
  std::string chosen = plan.bootstrap;
  if (chosen == "auto" && plan.backend == "mpi") chosen = "mpi";
  if (chosen == "auto") chosen = without_mpi || plan.backend == "tcp" ? "tcp" : "mpi";
  if (plan.backend != "auto" && plan.backend != "nccl" &&
      (plan.backend == "mpi") != (chosen == "mpi")) {
    throw Error(Fault::Usage,
                "cluster.backend = " + plan.backend + " with cluster.bootstrap = " + chosen,
                "mpi goes with mpi, tcp with tcp and file; or set cluster.backend = auto");
  }
  if (chosen == "mpi" && without_mpi && place.size > 1) {
    throw Error(Fault::Environment,
                (place.starter == Starter::ByHand ? "the environment names " : "srun started ") +
                    std::to_string(place.size) +
                    " tasks without PMIx: they cannot find each other through MPI",
                topology::pmix_remedy());
  }
  return chosen;
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
  require_one_of("cluster.backend", plan.backend, {"auto", "solo", "mpi", "tcp", "nccl"});
  require_one_of("cluster.bootstrap", plan.bootstrap, {"auto", "mpi", "tcp", "file"});
  const std::string& wanted = plan.backend;
  const topology::Environment environment = topology::process_environment();
  const topology::Place place = topology::read_place(environment);
  if (wanted == "solo" && place.size > 1) {
    throw Error(Fault::Usage, "cluster.backend = solo in a world of " + std::to_string(place.size),
                "use auto, or start one worker");
  }
  if (wanted == "solo" || ((wanted == "auto" || wanted == "tcp") && place.size == 1)) {
    if (plan.bootstrap == "tcp" || plan.bootstrap == "file") {
      log::warn("a world of one: nothing names other ranks",
                {{"cluster.bootstrap", plan.bootstrap},
                 {"set", "HOMOLOG_RANK and HOMOLOG_WORLD, or start with srun"}});
    }
    return make_solo();
  }

  const std::string bootstrap = choose_bootstrap(plan, place);
  std::unique_ptr<Communicator> world =
      bootstrap == "mpi"
          ? make_mpi(plan)
          : make_tcp(plan, topology::choose_rendezvous(bootstrap, plan.rendezvous, environment),
                     place);
  if (wanted == "mpi" || wanted == "tcp") return world;
  std::string why;
  if (gpu_for_each_rank(*world, why)) return make_nccl(plan, std::move(world));
  if (wanted == "nccl") {
    throw Error(Fault::Environment, "cluster.backend = nccl: " + why,
                std::string("start at most one worker per GPU, or choose ") + world->backend() +
                    " (cluster.backend; --backend of homolog bench allreduce)");
  }
  return world;
}

}  // namespace homolog::comm
