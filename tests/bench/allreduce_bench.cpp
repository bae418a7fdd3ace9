// bench_allreduce [tcp=HOST:PORT] COUNT...: median seconds of an in-place all-reduce of COUNT
// floats over MPI (or TCP, by HOMOLOG_RANK and HOMOLOG_WORLD), as training starts them (queue,
// wire's thread, wait). Rank 0 prints one JSON object: count -> seconds.
// bench_allreduce least [tcp=HOST:PORT] COUNT...: the fastest in place of the median, as below.
// bench_allreduce hop [tcp=HOST:PORT] COUNT...: of a message from rank 0 to rank 1 instead.
// bench_allreduce adding COUNT...: of adding COUNT floats to others, by one process.
// bench_allreduce reading COUNT...: of reading COUNT floats from another process's memory.
// bench_allreduce model RANKS LINK HOP ADDING CORES COUNT...: what homolog plan's model says, from
// B/s of such reads and adds, and seconds of a message.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/run_main.h"
#include "cluster/comm/measure.h"
#include "cluster/comm/reduction.h"
#include "cluster/plan/allreduce_model.h"

namespace {

using namespace homolog;
using Words = std::vector<std::string>;
using Json = nlohmann::ordered_json;

constexpr const char* kTcp = "tcp=";
constexpr int kRounds = 21;

std::vector<std::size_t> counts_of(const Words& words, std::size_t first) {
  std::vector<std::size_t> counts;
  for (std::size_t i = first; i < words.size(); ++i) counts.push_back(std::stoul(words[i]));
  if (counts.empty())
    throw Error(Fault::Usage, "no element count is given", "give counts of floats");
  return counts;
}

double least_of(const std::vector<double>& timed) {
  return *std::min_element(timed.begin(), timed.end());
}

// Seconds of a broadcast on the rank that receives; a barrier before each.
double time_message(comm::Communicator& world, std::vector<float>& values) {
  std::vector<double> timed;
  for (int i = 0; i < kRounds; ++i) {
    world.barrier();
    Stopwatch watch;
    world.broadcast({values.data(), values.size(), comm::Scalar::F32}, 0);
    double seconds = watch.lap();
    world.all_reduce({&seconds, 1, comm::Scalar::F64}, comm::Reduce::Max, "seconds");
    timed.push_back(seconds);
  }
  return least_of(timed);
}

Json adding(const Words& words) {
  Json fastest;
  for (const std::size_t count : counts_of(words, 0)) {
    const std::vector<float> from(count, 1);
    std::vector<float> into(count, 1);
    std::vector<double> timed;
    for (int i = 0; i < kRounds; ++i) {
      Stopwatch watch;
      comm::combine(from.data(), into.data(), count, comm::Scalar::F32, comm::Reduce::Sum);
      timed.push_back(watch.lap());
    }
    fastest[std::to_string(count)] = least_of(timed);
  }
  return fastest;
}

// What neighbours do: see cluster/comm/neighbours.cpp.
Json reading(const Words& words) {
  Json fastest;
  for (const std::size_t count : counts_of(words, 0)) {
    const std::vector<float> theirs(count, 1);
    std::vector<float> own(count);
    const pid_t other = ::fork();
    if (other == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (true) ::pause();
    }
    std::vector<double> timed;
    for (int i = 0; i < kRounds; ++i) {
      const iovec to{own.data(), count * sizeof(float)},
          from{const_cast<float*>(theirs.data()), count * sizeof(float)};
      Stopwatch watch;
      const ssize_t n = ::process_vm_readv(other, &to, 1, &from, 1, 0);
      timed.push_back(watch.lap());
      if (n != static_cast<ssize_t>(to.iov_len))
        throw Error(Fault::Environment, "another process's memory cannot be read here");
    }
    ::kill(other, SIGKILL);
    ::waitpid(other, nullptr, 0);
    fastest[std::to_string(count)] = least_of(timed);
  }
  return fastest;
}

Json model(const Words& words) {
  if (words.size() < 6) throw Error(Fault::Usage, "model RANKS LINK HOP ADDING CORES COUNT...");
  const plan::Fabric fabric{.per_node = std::stoi(words[0]),
                            .link = std::stod(words[1]),
                            .link_hop = std::stod(words[2]),
                            .cores = std::stoi(words[4]),
                            .adding = std::stod(words[3])};
  Json seconds;
  for (const std::size_t count : counts_of(words, 5)) {
    const double bytes = sizeof(float) * static_cast<double>(count);
    seconds[std::to_string(count)] = plan::all_reduce(bytes, fabric).seconds();
  }
  return seconds;
}

void measure(const std::string& what, Words words) {
  comm::CommPlan plan{.backend = "mpi", .timeout_s = 60};
  if (!words.empty() && words[0].starts_with(kTcp)) {
    plan.backend = "tcp";
    plan.rendezvous = words[0].substr(std::string_view(kTcp).size());
    words.erase(words.begin());
  }
  const auto counts = counts_of(words, 0);
  const auto world = comm::connect(plan);
  Json told;
  for (const std::size_t count : counts) {
    std::vector<float> values(count);
    Json& seconds = told[std::to_string(count)];
    if (what == "hop") {
      seconds = time_message(*world, values);
      continue;
    }
    const auto timed = comm::time_all_reduce(*world, comm::host_buffer(values), {});
    seconds = what == "least" ? least_of(timed) : comm::median_of(timed);
  }
  if (world->rank().index == 0) std::printf("%s\n", told.dump().c_str());
  world->close();
}

int body(int argc, char** argv) {
  Words words(argv + 1, argv + argc);
  const std::string word = words.empty() ? "" : words[0];
  const Words rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (word == "model")
    std::printf("%s\n", model(rest).dump().c_str());
  else if (word == "adding")
    std::printf("%s\n", adding(rest).dump().c_str());
  else if (word == "reading")
    std::printf("%s\n", reading(rest).dump().c_str());
  else
    measure(word, word == "hop" || word == "least" ? rest : words);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "bench_allreduce", [&] { return body(argc, argv); });
}
