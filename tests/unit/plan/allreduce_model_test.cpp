// The model against hand-worked times of 8-GPU nodes with 450 GB/s links and 50 GB/s adapters.
#include "cluster/plan/allreduce_model.h"

#include <gtest/gtest.h>

#include "cluster/plan/step_model.h"

namespace homolog::plan {
namespace {

Fabric eights(int workers) { return {.nodes = workers / 8, .per_node = 8}; }
double ms(double bytes, int workers) { return 1e3 * all_reduce(bytes, eights(workers)).seconds(); }
double ring_ms(double bytes, int workers) {
  const AllReduce a = all_reduce(bytes, eights(workers));
  return 1e3 * (a.within + a.ring);
}

constexpr double kSmall = 27.8e6 * 4, kMiddle = 72.8e6 * 4, kLarge = 150e6 * 4;

TEST(AllReduceModel, OneWorkerSendsNothing) {
  EXPECT_EQ(all_reduce(kSmall, {.nodes = 1, .per_node = 1}).seconds(), 0);
}

TEST(AllReduceModel, OneNodeTakesARingsTime) {
  EXPECT_NEAR(ms(kSmall, 8), 0.46, 0.005);
  EXPECT_NEAR(ms(kSmall / 2, 8), 0.24, 0.005);
  EXPECT_NEAR(ms(kMiddle, 8), 1.16, 0.005);
  EXPECT_NEAR(ms(kLarge, 8), 2.36, 0.005);
}

TEST(AllReduceModel, ARingBetweenNodesPaysEachHop) {
  EXPECT_NEAR(ring_ms(kSmall, 64), 1.06, 0.005);
  EXPECT_NEAR(ring_ms(kMiddle, 64), 2.55, 0.01);
  EXPECT_NEAR(ring_ms(kLarge, 64), 5.1, 0.05);
  EXPECT_NEAR(ring_ms(kSmall, 512), 2.0, 0.05);
  EXPECT_NEAR(ring_ms(kSmall, 4096), 9.2, 0.05);
  EXPECT_NEAR(ring_ms(kLarge, 4096), 13.5, 0.05);
}

TEST(AllReduceModel, ATreeIsTakenWhereManyNodesMakeARingSlow) {
  EXPECT_NEAR(ms(kSmall, 512), 1.1, 0.05);
  EXPECT_NEAR(ms(kMiddle, 512), 2.7, 0.05);
  EXPECT_NEAR(ms(kSmall, 4096), 1.2, 0.05);
  EXPECT_NEAR(ms(kMiddle, 4096), 2.8, 0.05);
  EXPECT_NEAR(ms(kLarge, 4096), 5.5, 0.05);
  EXPECT_TRUE(all_reduce(kSmall, eights(512)).by_tree());
  EXPECT_FALSE(all_reduce(kMiddle, eights(64)).by_tree());
}

// Two processes on two cores: each reads half of 100 MB twice at 2 GB/s, and adds half once at
// 4 GB/s. They meet three times, however many they are.
TEST(AllReduceModel, ProcessesInHostMemoryReadAndAddThemselves) {
  Fabric host{.per_node = 2, .link = 2e9, .link_hop = 0, .cores = 2, .adding = 4e9};
  EXPECT_NEAR(all_reduce(100e6, host).seconds(), 0.05 + 0.0125, 1e-9);
  for (const int processes : {2, 8}) {
    host.per_node = host.cores = processes;
    host.link_hop = 0;
    const double without = all_reduce(100e6, host).seconds();
    host.link_hop = 1e-3;
    EXPECT_NEAR(all_reduce(100e6, host).seconds(), without + 3e-3, 1e-9);
  }
}

TEST(AllReduceModel, ProcessesThatShareCoresTakeTurns) {
  const Fabric alone{.per_node = 8, .link = 2e9, .link_hop = 1e-5, .cores = 8, .adding = 4e9};
  Fabric shared = alone;
  shared.cores = 2;
  EXPECT_NEAR(all_reduce(1e6, shared).seconds(), 4 * all_reduce(1e6, alone).seconds(), 1e-9);
  shared.cores = 16;  // more cores than processes help nobody
  EXPECT_EQ(all_reduce(1e6, shared).seconds(), all_reduce(1e6, alone).seconds());
}

struct Case {
  double step_ms, gradient;
  int workers;
  double alone, overlapped, jitter;  // %
};

TEST(Scaling, EfficienciesAreThoseOfTheHandWorkedTable) {
  const Case cases[] = {{13, kSmall, 64, 92.5, 97.8, 95.1},    {13, kSmall, 512, 92.1, 97.4, 94.2},
                        {13, kSmall, 4096, 91.8, 97.1, 93.4},  {104, kSmall, 64, 99.0, 99.7, 96.9},
                        {104, kSmall, 4096, 98.9, 99.6, 95.7}, {5.8, kSmall, 64, 84.6, 95.1, 92.6},
                        {5.8, kSmall, 4096, 83.3, 93.6, 90.2}, {34, kMiddle, 64, 93.1, 99.1, 96.4},
                        {34, kMiddle, 4096, 92.6, 98.9, 95.0}};
  for (const Case& c : cases) {
    const double step = c.step_ms / 1e3;
    const Scaling s = scaling({.step = step,
                               .backward = step,
                               .gradient_bytes = c.gradient,
                               .tail_bytes = 25e6,
                               .jitter = 0.01},
                              eights(c.workers));
    EXPECT_NEAR(100 * s.alone, c.alone, 0.15) << c.step_ms << " ms at " << c.workers;
    EXPECT_NEAR(100 * s.overlapped, c.overlapped, 0.1) << c.step_ms << " ms at " << c.workers;
    EXPECT_NEAR(100 * s.with_jitter, c.jitter, 0.1) << c.step_ms << " ms at " << c.workers;
  }
}

TEST(Scaling, WhatBackwardCannotHideIsExposed) {
  const Load load{.step = 0.01, .backward = 0.001, .gradient_bytes = kLarge, .tail_bytes = 25e6};
  const Scaling s = scaling(load, eights(64));
  EXPECT_NEAR(s.exposed, s.all_reduce - 0.001, 1e-9);
  EXPECT_NEAR(s.step, 0.01 + s.exposed, 1e-9);
}

TEST(Scaling, OneWorkerIsWhole) {
  const Scaling s =
      scaling({.step = 1, .gradient_bytes = kSmall, .tail_bytes = 1, .jitter = 0.1}, {});
  EXPECT_EQ(s.with_jitter, 1);
  EXPECT_EQ(s.step, 1);
}

}  // namespace
}  // namespace homolog::plan
