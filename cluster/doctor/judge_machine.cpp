// Rungs that need no measuring: what the ranks know of themselves.
#include <algorithm>
#include <set>

#include "base/byte_count.h"
#include "cluster/doctor/judge.h"

namespace homolog::doctor {
namespace {

using ByHost = std::map<std::string, std::vector<const RankFacts*>>;

ByHost by_host(AllFacts facts) {
  ByHost hosts;
  for (const RankFacts& f : facts) hosts[f.host].push_back(&f);
  return hosts;
}

std::string ranks_text(const std::vector<const RankFacts*>& ranks) {
  std::string text;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    std::size_t last = i;
    while (last + 1 < ranks.size() && ranks[last + 1]->rank == ranks[last]->rank + 1) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(ranks[i]->rank);
    if (last > i) text += "-" + std::to_string(ranks[last]->rank);
    i = last;
  }
  return (ranks.size() == 1 ? "rank " : "ranks ") + text;
}

std::size_t cores_of(const std::vector<const RankFacts*>& ranks) {
  std::set<int> cores;
  for (const RankFacts* f : ranks) cores.insert(f->cpus.begin(), f->cpus.end());
  return cores.size();
}

std::string host_text(const std::string& host, const std::vector<const RankFacts*>& ranks) {
  const std::size_t gpus = static_cast<std::size_t>(std::count_if(
      ranks.begin(), ranks.end(), [](const RankFacts* f) { return !f->gpu.empty(); }));
  std::string text = host + ": " + ranks_text(ranks) + ", " + std::to_string(cores_of(ranks)) +
                     " cores, threads a rank " + std::to_string(ranks[0]->threads) + ", ";
  if (gpus == 0) return text + "no GPU";
  return text + std::to_string(gpus) + " x " + ranks[0]->gpu_name;
}

void judge_gpus(Rung& rung, AllFacts facts) {
  std::map<std::string, const RankFacts*> owners;
  const auto with =
      std::count_if(facts.begin(), facts.end(), [](const RankFacts& f) { return !f.gpu.empty(); });
  for (const RankFacts& f : facts) {
    if (f.gpu.empty()) {
      if (with > 0 || f.gpus_on_host > 0)
        rung.find(Verdict::Failed,
                  name_of(f) + " has no GPU of its own; the driver lists " +
                      std::to_string(f.gpus_on_host) + " on that host",
                  "start at most one worker a GPU; see nvidia-smi and CUDA_VISIBLE_DEVICES there");
      continue;
    }
    const auto [owner, first] = owners.try_emplace(f.host + " " + f.gpu, &f);
    if (!first)
      rung.find(Verdict::Failed,
                name_of(f) + " would share GPU " + f.gpu + " with rank " +
                    std::to_string(owner->second->rank),
                "start at most one worker a GPU");
    if (f.gpu_name != facts[0].gpu_name && !facts[0].gpu_name.empty())
      rung.find(Verdict::Warn,
                name_of(f) + " has a " + f.gpu_name + ", rank 0 a " + facts[0].gpu_name,
                "the slowest kind of GPU sets the pace of all: use nodes of one kind");
  }
}

}  // namespace

Rung judge_hosts(AllFacts facts) {
  const ByHost hosts = by_host(facts);
  Rung rung{.name = "hosts and ranks", .measured = {}, .findings = {}, .remedy = {}};
  rung.measured = std::to_string(facts.size()) + (facts.size() == 1 ? " rank" : " ranks") + " on " +
                  std::to_string(hosts.size()) + (hosts.size() == 1 ? " host" : " hosts");
  std::size_t most = 0;
  for (const auto& [host, ranks] : hosts) {
    rung.measured += "; " + host_text(host, ranks);
    most = std::max(most, ranks.size());
  }
  judge_gpus(rung, facts);
  for (const auto& [host, ranks] : hosts) {
    std::size_t threads = 0;
    for (const RankFacts* f : ranks)
      threads += f->gpu.empty() ? static_cast<std::size_t>(f->threads) : 1;
    if (threads > cores_of(ranks))
      rung.find(Verdict::Warn,
                host + ": " + ranks_text(ranks) + " compute with " + std::to_string(threads) +
                    " threads on " + std::to_string(cores_of(ranks)) + " cores",
                "fewer workers a host, or OMP_NUM_THREADS = cores / workers; under SLURM "
                "--cpus-per-task");
    if (ranks.size() < most)
      rung.find(
          Verdict::Warn,
          host + " has " + std::to_string(ranks.size()) + " ranks, others " + std::to_string(most),
          "give every host as many workers (--ntasks-per-node, or slots of the host file)");
  }
  return rung;
}

Rung judge_versions(AllFacts facts) {
  Rung rung{.name = "versions", .measured = {}, .findings = {}, .remedy = {}};
  std::set<std::string> keys;
  for (const RankFacts& f : facts) {
    for (const auto& [key, value] : f.versions) keys.insert(key);
  }
  for (const std::string& key : keys) {
    const auto value_of = [&](const RankFacts& f) {
      const auto found = f.versions.find(key);
      return found == f.versions.end() || found->second.empty() ? std::string("none")
                                                                : found->second;
    };
    std::map<std::string, int> votes;
    for (const RankFacts& f : facts) ++votes[value_of(f)];
    std::string usual = value_of(facts[0]);  // of a tie rank 0's
    for (const auto& [value, count] : votes) {
      if (count > votes[usual]) usual = value;
    }
    if (usual != "none" || votes.size() > 1)
      rung.measured += (rung.measured.empty() ? "" : ", ") + key + " " + usual;
    for (const RankFacts& f : facts) {
      if (value_of(f) != usual)
        rung.find(Verdict::Failed,
                  name_of(f) + ": " + key + " " + value_of(f) + ", others " + usual,
                  "install the same build on every node, or start it from a folder that all share");
    }
  }
  return rung;
}

Rung judge_open_files(AllFacts facts, std::int64_t shards) {
  constexpr std::int64_t kOwn = 256, kUsual = 4096;  // logs, sockets, libraries; a middling store
  const std::int64_t needed = shards + kOwn;
  const char* const remedy = "raise it: ulimit -n, LimitNOFILE of slurmd or sshd, limits.conf";
  Rung rung{.name = "open files", .measured = {}, .findings = {}, .remedy = {}};
  std::int64_t least = 0;
  for (const RankFacts& f : facts) {
    if (f.open_files == 0) continue;  // no limit
    if (least == 0 || f.open_files < least) least = f.open_files;
    const std::string limit = name_of(f) + " may open " + std::to_string(f.open_files) + " files";
    if (f.open_files < needed)
      rung.find(Verdict::Failed, limit + ", needs " + std::to_string(needed), remedy);
    else if (f.open_files < kUsual)
      rung.find(Verdict::Warn, limit + "; a store holds one a shard", remedy);
  }
  rung.measured = least == 0 ? "no limit" : "at least " + std::to_string(least) + " a process";
  if (shards > 0) rung.measured += "; the store has " + std::to_string(shards) + " shards";
  return rung;
}

Rung judge_shared_memory(AllFacts facts) {
  // A worker's board is a page or two; Open MPI's vader keeps 4 MiB a process and its PMIx store a
  // few more; NCCL between GPUs without peer access keeps some 10 MiB a channel pair.
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20, kRank = 8 * kMiB, kGpuRank = 64 * kMiB;
  Rung rung{.name = "shared memory", .measured = {}, .findings = {}, .remedy = {}};
  for (const auto& [host, ranks] : by_host(facts)) {
    std::uint64_t needed = 0, free = ranks[0]->shm_free;
    for (const RankFacts* f : ranks) {
      needed += f->gpu.empty() ? kRank : kGpuRank;
      free = std::min(free, f->shm_free);
    }
    const std::string text = host + ": " + human_bytes(free) + " free of " +
                             human_bytes(ranks[0]->shm_size) + " in /dev/shm";
    if (free < needed)
      rung.find(Verdict::Failed,
                text + ", " + ranks_text(ranks) + " need " + human_bytes(needed) +
                    " for boards, MPI" + (ranks[0]->gpu.empty() ? "" : " and NCCL"),
                "make it larger (mount -o remount,size=50% /dev/shm; containers: --shm-size), or "
                "remove what dead programs left there");
    if (rung.measured.empty() || free < needed) rung.measured = text;
  }
  return rung;
}

}  // namespace homolog::doctor
