// main() of every world test: connects over MPI, refuses a world of another size than ctest asked
// for.
#include "tests/world/world_main.h"

#include <gtest/gtest.h>

#include <iostream>

#include "cluster/comm/backends.h"

homolog::comm::Communicator* world = nullptr;

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const int expected = argc > 1 ? std::atoi(argv[1]) : 0;
  const auto connected = homolog::comm::connect({.backend = "mpi", .timeout_s = 60});
  world = connected.get();
  if (world->rank().size != expected) {
    std::cerr << "the world has " << world->rank().size << " ranks, expected " << expected << "\n";
    return 1;
  }
  const int failed = RUN_ALL_TESTS();
  world->close();
  return failed;
}
