// main() of every world test: RANKS [tcp|file RENDEZVOUS]. Connects over MPI, or as it is told, and
// refuses a world of another size than ctest asked for.
#include "tests/world/world_main.h"

#include <gtest/gtest.h>

#include <iostream>

#include "base/error.h"

homolog::comm::Communicator* world = nullptr;

namespace {

int run_world(int argc, char** argv) {
  const int expected = argc > 1 ? std::atoi(argv[1]) : 0;
  homolog::comm::CommPlan plan{.backend = "mpi", .timeout_s = 60};
  if (argc > 3) {
    plan.backend = "tcp";
    plan.bootstrap = argv[2];
    plan.rendezvous = argv[3];
  }
  const auto connected = homolog::comm::connect(plan);
  world = connected.get();
  if (world->rank().size != expected) {
    std::cerr << "the world has " << world->rank().size << " ranks, expected " << expected << "\n";
    return 1;
  }
  const int failed = RUN_ALL_TESTS();
  world->close();
  return failed;
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  try {
    return run_world(argc, argv);
  } catch (const homolog::Error& e) {
    std::cerr << e.what() << "\n";
    return homolog::exit_code(e.fault());
  }
}
