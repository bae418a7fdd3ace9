// Claims about sliding windows: every voxel is predicted once over, weighted, and stays in place.
#include "task/sliding_window.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace homolog::task {
namespace {

at::Tensor same(const at::Tensor& windows) { return windows; }

TEST(SlidingWindow, AnIdentityPredictorGivesTheImageBack) {
  for (const Blend blend : {Blend::Constant, Blend::Gaussian}) {
    for (const double overlap : {0.0, 0.25, 0.5, 0.9}) {
      for (const std::int64_t at_once : {1, 3, 100}) {
        SlidingWindowPlan plan{{8, 6, 5}, {overlap, overlap, overlap}, blend};
        plan.windows_at_once = at_once;
        for (const std::int64_t side : {4, 8, 13}) {  // padded, exact, many
          const at::Tensor image = at::randn({2, 3, side, side + 1, side + 2}).clamp(-4, 4);
          // A float32 sum over at most 240 windows: 240 * 2^-24 * 4, and the weights' own.
          EXPECT_LT((slide(image, same, plan) - image).abs().max().item<float>(), 1e-4);
        }
      }
    }
  }
}

TEST(SlidingWindow, BlendsByHandComputedWeights) {
  // Two windows of 4 over 6 voxels; each predicts its own number, so voxel 3 shows the weights.
  SlidingWindowPlan plan{{4, 1, 1}, {.5, .5, .5}, Blend::Gaussian};
  plan.windows_at_once = 1;
  int call = 0;
  const at::Tensor out = slide(
      at::zeros({1, 1, 6, 1, 1}),
      [&](const at::Tensor& w) { return at::full_like(w, ++call == 1 ? 0.F : 1.F); }, plan);
  // The first starts at 0, the second at 2. Sigma is 0.5: at -1.5 the weight is exp(-4.5).
  const double far = std::exp(-4.5), near = std::exp(-0.5);
  EXPECT_EQ(call, 2);
  EXPECT_NEAR(out.view(-1)[1].item<float>(), 0, 1e-6);
  EXPECT_NEAR(out.view(-1)[2].item<float>(), far / (far + near), 1e-6);
  EXPECT_NEAR(out.view(-1)[3].item<float>(), near / (far + near), 1e-6);
  EXPECT_NEAR(out.view(-1)[4].item<float>(), 1, 1e-6);
}

TEST(SlidingWindow, TheLastWindowIsMovedInwards) {
  SlidingWindowPlan plan{{8, 8, 8}, {.25, .25, .25}};
  const auto starts = window_starts({20, 8, 9}, plan);
  ASSERT_EQ(starts.size(), 6U);
  EXPECT_EQ(starts.front(), (Size3{0, 0, 0}));
  EXPECT_EQ(starts[1], (Size3{0, 0, 1}));
  EXPECT_EQ(starts.back(), (Size3{12, 0, 1}));
}

TEST(SlidingWindow, MirroredAveragesAllEightForms) {
  const at::Tensor window = at::randn({1, 1, 4, 4, 4});
  // Keeps the lower half of the first axis; the mirrored form keeps the upper one.
  const Predictor half = [](const at::Tensor& w) {
    at::Tensor out = at::zeros_like(w);
    out.narrow(2, 0, 2).copy_(w.narrow(2, 0, 2));
    return out;
  };
  int calls = 0;
  const Predictor counted = [&](const at::Tensor& w) { return ++calls, half(w); };
  EXPECT_LT((mirrored(counted)(window) - window / 2).abs().max().item<float>(), 1e-6);
  EXPECT_EQ(calls, 8);
  EXPECT_LT((mirrored(half, {1})(window) - half(window)).abs().max().item<float>(), 1e-6);
}

TEST(SlidingWindow, RefusesPlansAndPredictorsThatCannotBe) {
  const at::Tensor image = at::zeros({1, 1, 8, 8, 8});
  EXPECT_THROW(slide(image, same, {{4, 4, 4}, {1, .5, .5}}), Error);
  EXPECT_THROW(slide(image, same, {{0, 4, 4}}), Error);
  EXPECT_THROW(slide(image[0], same, {{4, 4, 4}}), Error);
  EXPECT_THROW(slide(image, [](const at::Tensor& w) { return w.narrow(2, 0, 2); }, {{4, 4, 4}}),
               Error);
}

}  // namespace
}  // namespace homolog::task
