// Rungs in which every rank, or one a host, measures by itself: compute, clocks, disks.
#include "base/error.h"
#include "base/stop_signal.h"
#include "cluster/apps/doctor/gemm.h"
#include "cluster/apps/doctor/rungs.h"
#include "cluster/doctor/disk_probe.h"
#include "cluster/doctor/judge.h"

namespace homolog::doctor {
namespace {

namespace fs = std::filesystem;

void go_on() { stop_if_asked("nothing was left behind", "run the same command again"); }

std::uint64_t probed_bytes(const DoctorPlan& plan) {
  return std::uint64_t{plan.quick ? 32U : 256U} << 20;
}

Measured probe_runs(const fs::path& folder, std::uint64_t bytes, double seconds) {
  Measured measured = probe_write_and_read(folder, bytes, seconds, go_on);
  return measured;
}

// A store that is there is read as training reads it, and may lie on a read-only mount; where one
// is to be written, writing counts.
Measured probe_store(const fs::path& folder, std::uint64_t bytes, double seconds) {
  Measured measured = probe_read(folder, ".h5", bytes, seconds, go_on);
  if (!measured.numbers.empty()) {
    measured.words["what"] = "its shards";
    return measured;
  }
  measured = probe_write_and_read(folder, bytes, seconds, go_on);
  measured.words["what"] = "no shard in it yet";
  return measured;
}

template <class Probe>
void climb_disk(Ladder& ladder, const std::string& name, const fs::path& folder,
                const Probe& probe) {
  ladder.climb(name, [&] {
    const DoctorPlan& plan = ladder.plan();
    const bool measures = ladder.rank().local_index == 0;  // one a host
    const auto all = ladder.everywhere(
        [folder, measures, probe, bytes = probed_bytes(plan), seconds = plan.limit / 4] {
          return measures ? probe(folder, bytes, seconds) : Measured{};
        });
    return judge_disk(name, folder.string(), ladder.facts(), all);
  });
}

}  // namespace

void climb_compute(Ladder& ladder) {
  std::vector<Measured> all;
  ladder.climb("GEMM", [&] {
    const topology::Rank& rank = ladder.rank();
    const std::string pci = ladder.facts()[static_cast<std::size_t>(rank.index)].gpu;
    const int gpu = pci.empty() ? -1 : gpu_index(rank.local_index, rank.local_size);
    all = ladder.everywhere([gpu, pci, seconds = ladder.plan().quick ? 0.5 : 2.0] {
      return measure_gemm(gpu, pci, seconds);
    });
    return judge_gemm(ladder.facts(), all);
  });
  ladder.climb("clocks", [&] { return judge_clocks(ladder.facts(), all); });
}

void climb_disks(Ladder& ladder) {
  const DoctorPlan& plan = ladder.plan();
  climb_disk(ladder, "disk of runs", plan.runs, probe_runs);
  if (plan.store.empty())
    ladder.climb("disk of store", [] { return not_measured("disk of store", "no --store"); });
  else
    climb_disk(ladder, "disk of store", plan.store, probe_store);
}

}  // namespace homolog::doctor
