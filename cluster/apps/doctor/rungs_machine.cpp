#include "base/error.h"
#include "build_info.h"
#include "cluster/apps/doctor/gemm.h"
#include "cluster/apps/doctor/rungs.h"
#include "cluster/comm/backends.h"
#include "cluster/comm/versions.h"
#include "cluster/doctor/disk_probe.h"
#include "cluster/doctor/judge.h"
#include "cluster/doctor/machine.h"

namespace homolog::doctor {
namespace {

RankFacts own_facts(const topology::Rank& rank) {
  RankFacts facts;
  facts.rank = rank.index;
  facts.local_index = rank.local_index;
  facts.host = rank.host;
  facts.threads = compute_threads();
  facts.gpu = comm::gpu_identity(rank);
  read_machine(facts);
  if (!facts.gpu.empty()) facts.gpu_name = gpu_name(facts.gpu);
  facts.versions["homolog"] = std::string(HOMOLOG_VERSION) + " (" + HOMOLOG_COMMIT + ")";
  facts.versions["torch"] = torch_version();
  facts.versions["mpi"] = comm::mpi_version();
  facts.versions["nccl"] = comm::nccl_version();
  return facts;
}

std::int64_t count_shards(const DoctorPlan& plan) {
  try {
    return plan.store.empty() ? 0 : count_files(plan.store, ".h5");
  } catch (const Error&) {
    return 0;  // the disk's rung says what is wrong with the folder
  }
}

}  // namespace

void climb_machine(Ladder& ladder) {
  ladder.climb("hosts and ranks", [&] {
    ladder.learn_facts(own_facts(ladder.rank()));
    return judge_hosts(ladder.facts());
  });
  ladder.climb("versions", [&] { return judge_versions(ladder.facts()); });
  ladder.climb("open files",
               [&] { return judge_open_files(ladder.facts(), count_shards(ladder.plan())); });
  ladder.climb("shared memory", [&] { return judge_shared_memory(ladder.facts()); });
}

}  // namespace homolog::doctor
