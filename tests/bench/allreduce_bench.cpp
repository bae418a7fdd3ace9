// bench_allreduce [tcp=HOST:PORT] COUNT...: median seconds of an in-place all-reduce of COUNT
// floats over MPI (or TCP, by HOMOLOG_RANK and HOMOLOG_WORLD), as training starts them (queue,
// wire's thread, wait). Rank 0 prints one JSON object: count -> seconds.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/run_main.h"
#include "cluster/comm/measure.h"

namespace {

using namespace homolog;

constexpr const char* kTcp = "tcp=";

std::vector<std::size_t> counts_of(int argc, char** argv) {
  std::vector<std::size_t> counts;
  for (int i = 1; i < argc; ++i) {
    if (!std::string(argv[i]).starts_with(kTcp)) counts.push_back(std::stoul(argv[i]));
  }
  if (counts.empty())
    throw Error(Fault::Usage, "no element count is given", "give counts of floats");
  return counts;
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
  for (const std::size_t count : counts) {
    std::vector<float> values(count);
    medians[std::to_string(count)] =
        comm::median_of(comm::time_all_reduce(*world, comm::host_buffer(values), {}));
  }
  if (world->rank().index == 0) std::printf("%s\n", medians.dump().c_str());
  world->close();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "bench_allreduce", [&] { return body(argc, argv); });
}
