// homolog bench allreduce: how fast gradients are summed here, by size.
#include <algorithm>
#include <cstdio>

#include "apps/bench/commands.h"
#include "base/byte_count.h"
#include "base/error.h"
#include "base/options.h"
#include "cluster/apps/gpu_buffer.h"
#include "cluster/comm/measure.h"
#include "launcher/own_world.h"

namespace homolog::bench {
namespace {

struct AllReducePlan {
  std::vector<std::string> sizes = {"4KiB", "64KiB", "1MiB", "16MiB", "64MiB", "256MiB"};
  std::string backend = "auto";
  int rounds = 21;
  double seconds = 5, timeout = 60;
  bool json = false;
};

// As nccl-tests defines it: what each rank's link carries, whatever the number of ranks.
double bus_share(int ranks) { return 2.0 * (ranks - 1) / ranks; }

nlohmann::ordered_json measure(comm::Communicator& world, const AllReducePlan& plan,
                               std::uint64_t bytes) {
  std::vector<float> values;
  const std::size_t count = bytes / sizeof(float);
  if (world.device() < 0) values.resize(count);
  const auto buffer =
      world.device() < 0 ? comm::host_buffer(values) : gpu_buffer(world.device(), count);
  auto timed = comm::time_all_reduce(
      world, buffer, {.warm_ups = 3, .timed = plan.rounds, .seconds = plan.seconds});
  const double seconds = comm::median_of(timed);
  const auto moved = static_cast<double>(count * sizeof(float));
  const auto [least, most] = std::minmax_element(timed.begin(), timed.end());
  return {{"bytes", count * sizeof(float)},
          {"seconds", seconds},
          {"least_seconds", *least},
          {"most_seconds", *most},
          {"rounds", timed.size()},
          {"algorithm_gb_s", moved / seconds * 1e-9},
          {"bus_gb_s", bus_share(world.rank().size) * moved / seconds * 1e-9}};
}

void print(const nlohmann::ordered_json& report) {
  std::vector<std::vector<std::string>> rows = {
      {"size", "time [us]", "least", "most", "rounds", "algorithm [GB/s]", "bus [GB/s]"}};
  for (const auto& row : report["rows"]) {
    const auto us = [&](const char* key) { return digits(row[key].get<double>() * 1e6); };
    rows.push_back({human_bytes(row["bytes"]), us("seconds"), us("least_seconds"),
                    us("most_seconds"), std::to_string(row["rounds"].get<int>()),
                    digits(row["algorithm_gb_s"]), digits(row["bus_gb_s"])});
  }
  std::printf("all-reduce of float32 over %s, %d ranks; medians\n%s",
              report["backend"].get<std::string>().c_str(), report["world"].get<int>(),
              table(rows).c_str());
}

}  // namespace

int run_all_reduce(int argc, char** argv) {
  AllReducePlan plan;
  launcher::LaunchRequest request;
  Options options("homolog bench allreduce", "[--workers N] [--sizes 4KiB,16MiB] [--json]",
                  "How long summing gradients over the ranks takes, by size, as training does it: "
                  "in place,\nfloat32, through the queue, with the wait. A sum of ones is checked "
                  "first.");
  launcher::declare_world(options, request);
  options.add("sizes", plan.sizes, "sizes of the buffers");
  options.add("backend", plan.backend, "auto: nccl with a GPU per rank, else mpi",
              {.choices = {"auto", "mpi", "nccl"}});
  options.add("rounds", plan.rounds, "rounds of each size", {.min = 1, .max = 100000});
  options.add("seconds", plan.seconds, "no further round of a size after so long",
              {.min = 0.01, .unit = "s"});
  options.add("timeout", plan.timeout, "an all-reduce that takes longer is a hang",
              {.min = 1, .unit = "s"});
  options.add("json", plan.json, "print one JSON object in place of the table");
  if (!options.parse(argc, argv)) return 0;
  std::vector<std::uint64_t> sizes;
  for (const std::string& size : plan.sizes) {
    sizes.push_back(bytes_of("--sizes", size));
    if (sizes.back() < sizeof(float))
      throw Error(Fault::Usage, "--sizes: " + size + " is less than one float", "4 bytes or more");
  }
  if (const auto code = launcher::run_as_world(request, {argv, argv + argc}, 86400)) return *code;

  const auto world = comm::connect({.backend = plan.backend, .timeout_s = plan.timeout});
  if (world->rank().size == 1)
    throw Error(Fault::Usage, "one rank alone has nothing to sum",
                "homolog bench allreduce --workers 2, or start it with mpirun or srun");
  nlohmann::ordered_json report = {{"backend", world->backend()},
                                   {"world", world->rank().size},
                                   {"rows", nlohmann::ordered_json::array()}};
  for (const std::uint64_t size : sizes) report["rows"].push_back(measure(*world, plan, size));
  const bool first = world->rank().index == 0;
  world->close();
  if (first && plan.json) std::printf("%s\n", report.dump(2).c_str());
  if (first && !plan.json) print(report);
  return 0;
}

}  // namespace homolog::bench
