// bench_startup [tcp=HOST:PORT]: one worker from its start to the first all-reduce, as training
// joins its world: program and libraries loaded, ranks connected, settings compared, one number
// summed. HOMOLOG_BENCH_LAUNCHED: seconds of the monotonic clock when the launch began. Rank 0
// prints one JSON object: per phase its end on the last rank since the launch, and the mean
// processor time of a rank up to it.
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/run_main.h"
#include "cluster/comm/communicator.h"
#include "train/replica.h"

namespace {

using namespace homolog;
using Json = nlohmann::ordered_json;

constexpr int kSettings = 130;  // as many as homolog train has

double seconds_of(clockid_t clock) {
  std::timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double launched_at() {
  const char* text = std::getenv("HOMOLOG_BENCH_LAUNCHED");
  if (text == nullptr)
    throw Error(Fault::Usage, "HOMOLOG_BENCH_LAUNCHED is not set", "run `./run bench startup`");
  return std::atof(text);
}

class Phases {
 public:
  void end(const char* name) {
    own_[name] = {seconds_of(CLOCK_MONOTONIC) - launched_, seconds_of(CLOCK_PROCESS_CPUTIME_ID)};
  }
  // Collective.
  Json of_all(comm::Communicator& world) const {
    Json all;
    const auto texts = world.all_gather(own_.dump());
    for (const auto& [name, unused] : own_.items()) {
      double last = 0, processor = 0;
      for (const auto& text : texts) {
        const Json times = Json::parse(text)[name];
        last = std::max(last, times[0].get<double>());
        processor += times[1].get<double>() / static_cast<double>(texts.size());
      }
      all[name] = {{"wall", last}, {"processor", processor}};
    }
    return all;
  }

 private:
  double launched_ = launched_at();
  Json own_;
};

std::string settings() {
  std::string lines;
  for (int i = 0; i < kSettings; ++i)
    lines += "section.some_setting_" + std::to_string(i) + "=the value that it has\n";
  return lines;
}

int body(int argc, char** argv) {
  Phases phases;
  phases.end("loaded");
  comm::CommPlan plan{.backend = "mpi", .timeout_s = 300};
  constexpr std::string_view kTcp = "tcp=";
  if (argc > 1 && std::string_view(argv[1]).starts_with(kTcp)) {
    plan.backend = "tcp";
    plan.rendezvous = argv[1] + kTcp.size();
  }
  const auto world = comm::connect(plan);
  phases.end("joined");
  train::require_equal_settings(*world, settings());
  phases.end("agreed");
  double sum = 1;
  world->all_reduce({&sum, 1, comm::Scalar::F64}, comm::Reduce::Sum, "the first");
  phases.end("reduced");
  if (sum != world->rank().size)
    throw Error(Fault::Replicas, "the sum of ones over the world is not its size");
  const Json all = phases.of_all(*world);
  if (world->rank().index == 0) std::printf("%s\n", all.dump().c_str());
  world->close();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "bench_startup", [&] { return body(argc, argv); });
}
