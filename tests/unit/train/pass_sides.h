// The same steps of Alice by plain and by recorded passes, on any device.
#pragma once

#include <gtest/gtest.h>

#include "tests/unit/objective/tiny_alice.h"
#include "train/device.h"
#include "train/gradient_pass.h"

namespace homolog::train::toy {

// An engine's half of a step: loss, gradients, centres; weights stay as they are.
struct Side {
  std::unique_ptr<objective::Objective> objective;
  torch::Device device;
  GradientArena arena;
  std::unique_ptr<comm::Communicator> solo = comm::connect({.backend = "solo"});
  BucketReducer reducer;
  GradientPass pass;

  Side(std::unique_ptr<objective::Objective> made, torch::Device on, bool records)
      : objective(on_device(std::move(made), on)),
        device(on),
        arena(*objective, 1 << 20, 2),
        reducer(arena, *solo),
        pass(*objective, reducer, on, records) {
    objective->online().train();
  }
  static std::unique_ptr<objective::Objective> on_device(std::unique_ptr<objective::Objective> made,
                                                         torch::Device device) {
    made->online().to(device);
    made->target()->to(device);
    made->target()->eval();
    return made;
  }

  objective::Loss step(std::int64_t index, std::int64_t epoch, int micro_batches) {
    arena.zero_gradients();
    PartSeconds parts{};
    Laps laps(parts);
    objective::Loss last;
    for (int micro = 0; micro < micro_batches; ++micro) {
      const auto id = static_cast<std::uint64_t>(10 * index + micro);
      objective::Views views = objective::tiny::make_views({id, id + 500});
      for (auto& [name, tensor] : views.tensors) tensor = tensor.to(device);
      last = pass.run(views, {index, epoch, 3, true}, micro == 0, micro + 1 == micro_batches, laps);
    }
    reducer.finish();
    objective->absorb(last.statistics.cpu(), 1);
    return last;
  }
};

inline void expect_equal_steps(const objective::tiny::Settings& settings,
                               const std::string& backbone, int micro_batches = 1,
                               torch::Device device = torch::kCPU, double tolerance = 0) {
  leave_default_stream(device);
  Side plain(objective::tiny::make(settings, backbone), device, false),
      recorded(objective::tiny::make(settings, backbone), device, true);
  std::vector<double> totals;
  for (std::int64_t step = 0; step < 8; ++step) {
    const std::int64_t epoch = step / 5;
    const objective::Loss expected = plain.step(step, epoch, micro_batches),
                          loss = recorded.step(step, epoch, micro_batches);
    totals.push_back(loss.total.item<double>());
    EXPECT_NEAR(totals.back(), expected.total.item<double>(), tolerance) << "step " << step;
    ASSERT_EQ(loss.terms.size(), expected.terms.size());
    for (std::size_t i = 0; i < loss.terms.size(); ++i)
      EXPECT_TRUE(loss.terms[i].value.allclose(expected.terms[i].value, tolerance, tolerance))
          << loss.terms[i].name << ", step " << step;
    EXPECT_TRUE(recorded.arena.gradients().allclose(plain.arena.gradients(), tolerance, tolerance))
        << "step " << step;
    for (std::size_t i = 0; i < plain.arena.slots().size(); ++i)
      EXPECT_EQ(recorded.reducer.touched()[i], plain.reducer.touched()[i]);
  }
  EXPECT_TRUE(recorded.pass.is_recorded());
  EXPECT_NE(totals[6], totals[7]) << "other pairs, the same loss: the inputs were not renewed";
}

}  // namespace homolog::train::toy
