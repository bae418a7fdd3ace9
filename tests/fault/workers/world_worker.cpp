// world_worker BOOTSTRAP RENDEZVOUS TIMEOUT [WHAT RANK]: a worker that computes and reduces for 20
// steps over TCP and prints "done"; at step 5 the rank RANK does WHAT: kill, stop (itself, by
// signal), hang (computes for ever), leave (exit code 3), other (reduces something else), slow
// (computes longer than the others wait between two looks), kill-within and stop-within (while a
// sum of 128 MB is under way).
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/run_main.h"
#include "cluster/comm/communicator.h"

namespace {

using namespace homolog;

constexpr int kSteps = 20, kFaultAt = 5;

constexpr std::size_t kUsual = 300'000, kLong = 32'000'000;  // values

bool is_within(const std::string& what) { return what.ends_with("-within"); }

void do_fault(comm::Communicator& world, const std::string& what) {
  if (is_within(what)) {
    std::thread([signal = what.starts_with("kill") ? SIGKILL : SIGSTOP] {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      ::kill(::getpid(), signal);
    }).detach();
  }
  if (what == "kill") std::raise(SIGKILL);
  if (what == "stop") std::raise(SIGSTOP);
  if (what == "leave") ::_exit(3);
  if (what == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(700));
  if (what == "pause") std::this_thread::sleep_for(std::chrono::seconds(3));
  while (what == "hang") std::this_thread::sleep_for(std::chrono::seconds(1));
  float other = 0;
  if (what == "other") world.all_reduce({&other, 1, comm::Scalar::F32}, comm::Reduce::Sum, "other");
}

int body(int argc, char** argv) {
  if (argc != 4 && argc != 6) throw Error(Fault::Usage, "world_worker: see its source");
  comm::CommPlan plan{.backend = "tcp", .timeout_s = std::atof(argv[3])};
  plan.bootstrap = argv[1];
  plan.rendezvous = argv[2];
  const auto world = comm::connect(plan);
  std::vector<float> gradient(argc == 6 && is_within(argv[4]) ? kLong : kUsual, 1.0F);
  for (int step = 0; step < kSteps; ++step) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // computes
    if (argc == 6 && step == kFaultAt && world->rank().index == std::atoi(argv[5]))
      do_fault(*world, argv[4]);
    gradient.assign(gradient.size(), 1.0F);
    world->wait(world->start_all_reduce({gradient.data(), gradient.size(), comm::Scalar::F32},
                                        comm::Reduce::Sum, "gradient"));
    double loss = 1;
    world->all_reduce({&loss, 1, comm::Scalar::F64}, comm::Reduce::Sum, "loss");
    if (loss != world->rank().size || gradient.back() != static_cast<float>(loss))
      throw Error(Fault::Replicas, "a sum is wrong");
  }
  world->close();
  std::puts("done");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "world_worker", [&] { return body(argc, argv); });
}
