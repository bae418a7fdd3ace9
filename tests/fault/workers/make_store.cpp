// make_store FOLDER TRAIN VALIDATION [SIDE]: a small pair store of made-up crops, for tests of
// whole runs.
#include <cstdlib>
#include <iostream>

#include "base/run_main.h"
#include "tests/unit/data/synthetic_store.h"

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "make_store", [&] {
    if (argc != 4 && argc != 5) {
      std::cerr << "usage: make_store FOLDER TRAIN VALIDATION [SIDE]\n";
      return 2;
    }
    homolog::test::SyntheticPlan plan;
    plan.train = std::atoll(argv[2]);
    plan.validation = std::atoll(argv[3]);
    plan.crop = {64, 64, 32};
    if (argc == 5) plan.crop.x = plan.crop.y = plan.crop.z = std::atoll(argv[4]);
    homolog::test::write_synthetic_store(argv[1], plan);
    return 0;
  });
}
