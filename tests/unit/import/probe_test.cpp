// A crash or a hang in a library costs one input, not the batch.
#include "sharding/import/probe.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace homolog::import {
namespace {

TEST(Probe, EachOfManyCrashesIsFoundAndNothingElse) {
  const auto alive = survivors(300, 2, [](std::size_t i) {
    if (i == 0 || i == 7 || i == 150 || i == 299) std::abort();
  });
  ASSERT_EQ(alive.size(), 300U);
  for (std::size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(alive[i] != 0, !(i == 0 || i == 7 || i == 150 || i == 299)) << i;
  }
}

TEST(Probe, AnExceptionIsNoCrash) {
  EXPECT_EQ(survivors(1, 1, [](std::size_t) { throw std::runtime_error("no"); })[0], 1);
}

TEST(Probe, AHangEndsByItself) {
  const auto alive = survivors(
      2, 1,
      [](std::size_t i) {
        while (i == 1) ::pause();
      },
      1);
  EXPECT_EQ(alive[0], 1);
  EXPECT_EQ(alive[1], 0);
}

TEST(Probe, NothingToDoIsNothingDone) {
  EXPECT_TRUE(survivors(0, 4, [](std::size_t) {}).empty());
}

}  // namespace
}  // namespace homolog::import
