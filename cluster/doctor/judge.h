// From what the ranks know and measured to a verdict for each rung. Pure: every rank comes to the
// same one. Both lists have one entry per rank, in order.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cluster/doctor/rank_facts.h"
#include "cluster/doctor/rung.h"
#include "cluster/doctor/slow_ranks.h"

namespace homolog::doctor {

using AllFacts = std::span<const RankFacts>;
using AllMeasured = std::span<const Measured>;

// Who is where. Failed: two ranks share a GPU, or only some ranks have one.
Rung judge_hosts(AllFacts facts);
// Failed: ranks whose program or libraries are another version than most ranks'.
Rung judge_versions(AllFacts facts);
// `shards`: files that training holds open; 0 when no store is known.
Rung judge_open_files(AllFacts facts, std::int64_t shards);
// /dev/shm against what the ranks of a host need there for boards, Open MPI and NCCL.
Rung judge_shared_memory(AllFacts facts);

// Numbers "skew_s" (this rank's wall clock before rank 0's) and "error_s" (at most so far off).
Rung judge_time_skew(AllFacts facts, AllMeasured measured);
// Number "barrier_s", the median.
Rung judge_barrier(AllFacts facts, AllMeasured measured);
// Numbers "small_s", "large_s" (medians), "small_bytes", "large_bytes".
Rung judge_all_reduce(const std::string& name, AllFacts facts, AllMeasured measured);
// Numbers "gflops" (float32) and, on a GPU, "bf16_gflops".
Rung judge_gemm(AllFacts facts, AllMeasured measured);
// Numbers "cpu_mhz", "cpu_max_mhz", "gpu_mhz", "gpu_max_mhz", "gpu_celsius" as far as the machine
// tells them; word "throttled": why the GPU holds back.
Rung judge_clocks(AllFacts facts, AllMeasured measured);
// Numbers "write_bps", "read_bps" (bytes/s), "cached" (share of what was read that the page cache
// held); word "what": how it was measured. Ranks without numbers left it to another of their host.
Rung judge_disk(const std::string& name, const std::string& folder, AllFacts facts,
                AllMeasured measured);

// Bus bandwidth of an all-reduce as nccl-tests defines it: 2 (n - 1) / n of the bytes, per second.
double bus_bandwidth(double bytes, double seconds, int ranks) noexcept;

// For judges: the figure of every rank; a rank's error fails the rung; slow ranks are findings,
// Warn, or Failed below half of the others' speed.
Figure figure_of(AllMeasured measured, const std::string& key, const std::string& unit,
                 double scale = 1);
void fail_errors(Rung& rung, AllFacts facts, AllMeasured measured, const std::string& remedy);
void name_slow_ranks(Rung& rung, AllFacts facts, const Figure& figure, Better better,
                     const std::string& remedy);

// "3.1 GB/s", "12 us", "2.4 ms": three digits.
std::string rate_text(double value, const std::string& unit);
std::string seconds_text(double seconds);

}  // namespace homolog::doctor
