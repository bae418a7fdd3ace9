#include <cstdint>
#include <thread>

#include "base/clock.h"
#include "cluster/apps/doctor/rungs.h"
#include "cluster/apps/gpu_buffer.h"
#include "cluster/doctor/judge.h"

namespace homolog::doctor {
namespace {

Measured own_skew(const Ladder& ladder) {
  constexpr double kPatience = 3;
  constexpr int kEnough = 10;
  Measured measured;
  if (ladder.rank().index == 0) {
    measured.numbers = {{"skew_s", 0.0}, {"error_s", 0.0}};
    return measured;
  }
  const Stopwatch watch;
  while (watch.seconds() < kPatience) {
    const auto skew = ladder.skew();
    if (skew && skew->answers >= kEnough) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  if (const auto skew = ladder.skew())
    measured.numbers = {{"skew_s", skew->seconds}, {"error_s", skew->error}};
  else
    measured.error = "rank 0 cannot be reached by TCP";
  return measured;
}

Measured own_all_reduce(Ladder& ladder, const std::function<comm::DeviceBuffer(std::size_t)>& make,
                        std::size_t large_bytes) {
  const DoctorPlan& plan = ladder.plan();
  const comm::Rounds rounds{.warm_ups = 3, .timed = plan.quick ? 7 : 21, .seconds = plan.limit / 6};
  Measured measured;
  const auto time = [&](const std::string& name, std::size_t bytes) {
    measured.numbers[name + "_s"] =
        comm::median_of(comm::time_all_reduce(ladder.world(), make(bytes / sizeof(float)), rounds));
    measured.numbers[name + "_bytes"] = static_cast<double>(bytes);
  };
  time("small", 4096);
  time("large", large_bytes);
  return measured;
}

bool gpu_for_each(const std::vector<RankFacts>& facts) {
  for (const RankFacts& f : facts) {
    if (f.gpu.empty()) return false;
    for (const RankFacts& other : facts) {
      if (&other != &f && other.host == f.host && other.gpu == f.gpu) return false;
    }
  }
  return true;
}

}  // namespace

void climb_network(Ladder& ladder) {
  ladder.climb("time skew",
               [&] { return judge_time_skew(ladder.facts(), ladder.gather(own_skew(ladder))); });
  ladder.climb("MPI barrier", [&] {
    Measured measured;
    if (ladder.rank().size > 1) {
      measured.numbers["barrier_s"] = comm::median_of(comm::time_barrier(
          ladder.world(), {.warm_ups = 5, .timed = 101, .seconds = ladder.plan().limit / 6}));
    }
    return judge_barrier(ladder.facts(), ladder.gather(measured));
  });
  ladder.climb("host all-reduce", [&] {
    if (ladder.rank().size == 1) return not_measured("host all-reduce", "one rank, no MPI");
    std::vector<float> values;
    const auto make = [&](std::size_t count) {
      values.resize(count);
      return comm::host_buffer(values);
    };
    const std::size_t large = std::size_t{ladder.plan().quick ? 8U : 64U} << 20;
    return judge_all_reduce("host all-reduce", ladder.facts(),
                            ladder.gather(own_all_reduce(ladder, make, large)));
  });
}

void climb_nccl(Ladder& ladder) {
  ladder.climb("NCCL all-reduce", [&] {
    const char* const name = "NCCL all-reduce";
    if (ladder.facts()[0].gpu.empty()) return not_measured(name, "no GPU");
    if (ladder.rank().size == 1) return not_measured(name, "one rank");
    if (!gpu_for_each(ladder.facts()))
      return not_measured(name, "not every rank has a GPU of its own");
    ladder.move_to_gpus();
    const int gpu = ladder.world().device();
    const auto make = [gpu](std::size_t count) { return gpu_buffer(gpu, count); };
    const std::size_t large = std::size_t{ladder.plan().quick ? 64U : 256U} << 20;
    return judge_all_reduce(name, ladder.facts(),
                            ladder.gather(own_all_reduce(ladder, make, large)));
  });
}

}  // namespace homolog::doctor
