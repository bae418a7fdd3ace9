// bench_allreduce [tcp=HOST:PORT] COUNT...: median seconds of an in-place all-reduce of COUNT
// floats over MPI (or TCP, by HOMOLOG_RANK and HOMOLOG_WORLD), as training starts them (queue,
// engine thread, wait). Rank 0 prints one JSON object: count -> seconds.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/run_main.h"
#include "cluster/comm/communicator.h"

namespace {

using namespace homolog;

constexpr const char* kTcp = "tcp=";
constexpr int kWarmUps = 3, kTimed = 21;

std::vector<std::size_t> counts_of(int argc, char** argv) {
  std::vector<std::size_t> counts;
  for (int i = 1; i < argc; ++i) {
    if (!std::string(argv[i]).starts_with(kTcp)) counts.push_back(std::stoul(argv[i]));
  }
  if (counts.empty())
    throw Error(Fault::Usage, "no element count is given", "give counts of floats");
  return counts;
}

double once(comm::Communicator& world, std::vector<float>& values) {
  world.barrier();
  Stopwatch watch;
  const comm::Buffer buffer{values.data(), values.size(), comm::Scalar::F32};
  world.wait(world.start_all_reduce(buffer, comm::Reduce::Sum, "bench"));
  return watch.lap();
}

double median_seconds(comm::Communicator& world, std::size_t count) {
  std::vector<float> values(count, 1.0F);
  once(world, values);
  if (values.back() != static_cast<float>(world.rank().size))
    throw Error(Fault::Replicas, "the sum of ones over the world is not its size");
  std::fill(values.begin(), values.end(), 0.0F);  // sums of zeros stay finite
  for (int i = 0; i < kWarmUps; ++i) once(world, values);
  std::vector<double> timed;
  for (int i = 0; i < kTimed; ++i) timed.push_back(once(world, values));
  std::nth_element(timed.begin(), timed.begin() + kTimed / 2, timed.end());
  return timed[kTimed / 2];
}

int body(int argc, char** argv) {
  const auto counts = counts_of(argc, argv);
  comm::CommPlan plan{.backend = "mpi", .timeout_s = 60};
  if (std::string(argv[1]).starts_with(kTcp)) {
    plan.backend = "tcp";
    plan.rendezvous = argv[1] + std::string_view(kTcp).size();
  }
  const auto world = comm::connect(plan);
  nlohmann::ordered_json medians;
  for (const std::size_t count : counts)
    medians[std::to_string(count)] = median_seconds(*world, count);
  if (world->rank().index == 0) std::printf("%s\n", medians.dump().c_str());
  world->close();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "bench_allreduce", [&] { return body(argc, argv); });
}
