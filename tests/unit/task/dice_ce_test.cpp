// Claims about the segmentation loss: values against a plain loop, gradients against differences.
#include "task/dice_ce.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace homolog::task {
namespace {

struct Sample {
  at::Tensor logits = at::randn({2, 3, 4, 3, 2}, at::kDouble);
  at::Tensor labels = at::randint(0, 3, {2, 1, 4, 3, 2}, at::kByte);
};

// Mean over samples and classes of 1 - 2 sum(p t) / (sum p + sum t), voxel by voxel.
double plain_dice(const Sample& s, double smooth) {
  const at::Tensor p = s.logits.softmax(1).reshape({2, 3, -1}), t = s.labels.reshape({2, -1});
  double loss = 0;
  for (int b = 0; b < 2; ++b) {
    for (int c = 0; c < 3; ++c) {
      double common = 0, both = 0;
      for (int v = 0; v < p.size(2); ++v) {
        const double share = p[b][c][v].item<double>();
        const double truth = t[b][v].item<int>() == c ? 1 : 0;
        common += share * truth, both += share + truth;
      }
      loss += 1 - (2 * common + smooth) / (both + smooth);
    }
  }
  return loss / 6;
}

double plain_cross_entropy(const Sample& s) {
  const at::Tensor x = s.logits.reshape({2, 3, -1}), t = s.labels.reshape({2, -1});
  double loss = 0;
  for (int b = 0; b < 2; ++b) {
    for (int v = 0; v < x.size(2); ++v) {
      double sum = 0;
      for (int c = 0; c < 3; ++c) sum += std::exp(x[b][c][v].item<double>());
      loss += std::log(sum) - x[b][t[b][v].item<int>()][v].item<double>();
    }
  }
  return loss / static_cast<double>(2 * x.size(2));
}

TEST(DiceCe, EqualsAPlainLoop) {
  at::manual_seed(1);
  const Sample s;
  DiceCeOptions options;
  options.dice_weight = 0.7, options.cross_entropy_weight = 1.9;
  const DiceCe loss = dice_ce(s.logits, s.labels, options);
  EXPECT_NEAR(loss.dice.item<double>(), plain_dice(s, 1e-5), 1e-12);
  EXPECT_NEAR(loss.cross_entropy.item<double>(), plain_cross_entropy(s), 1e-12);
  EXPECT_NEAR(loss.total.item<double>(), 0.7 * plain_dice(s, 1e-5) + 1.9 * plain_cross_entropy(s),
              1e-12);
}

TEST(DiceCe, GradientEqualsFiniteDifferencesUnderEverySwitch) {
  at::manual_seed(2);
  const Sample s;
  std::vector<DiceCeOptions> each(9);
  each[1].include_background = false;
  each[2].squared = true;
  each[3].jaccard = true;
  each[4].batch = true;
  each[5].activation = Activation::Sigmoid;
  each[6].label_smoothing = 0.1;
  each[7].class_weights = {0.5, 1, 2};
  each[8].class_weights = {0.5, 1, 2}, each[8].include_background = false, each[8].jaccard = true;
  for (std::size_t i = 0; i < each.size(); ++i) {
    at::Tensor logits = s.logits.detach().clone().requires_grad_(true);
    dice_ce(logits, s.labels, each[i]).total.backward();
    constexpr double kStep = 1e-5;
    for (const std::int64_t at : {0, 17, 30, 71, 100, 143}) {
      const auto moved = [&](double by) {
        at::Tensor x = s.logits.clone();
        x.view(-1)[at] += by;
        return dice_ce(x, s.labels, each[i]).total.item<double>();
      };
      const double slope = (moved(kStep) - moved(-kStep)) / (2 * kStep);
      EXPECT_NEAR(logits.grad().view(-1)[at].item<double>(), slope, 1e-8) << i << " at " << at;
    }
  }
}

TEST(DiceCe, ClassNumbersAndOneHotAreTheSame) {
  const Sample s;
  const at::Tensor hot =
      at::zeros_like(s.logits).scatter(1, s.labels.to(at::kLong), 1.0).to(at::kByte);
  EXPECT_NEAR(dice_ce(s.logits, s.labels).total.item<double>(),
              dice_ce(s.logits, hot).total.item<double>(), 1e-12);
}

TEST(DiceCe, HalfPrecisionIsSummedInFloat) {
  const Sample s;
  const at::Tensor logits = s.logits.to(at::kBFloat16);
  const DiceCe loss = dice_ce(logits, s.labels);
  EXPECT_EQ(loss.total.scalar_type(), at::kFloat);
  EXPECT_EQ(loss.total.item<float>(), dice_ce(logits.to(at::kFloat), s.labels).total.item<float>());
}

TEST(DiceCe, RefusesWhatDoesNotFit) {
  const Sample s;
  EXPECT_THROW(dice_ce(s.logits, s.labels.squeeze(1)), Error);
  EXPECT_THROW(dice_ce(s.logits, s.labels.narrow(2, 0, 3)), Error);
  EXPECT_THROW(dice_ce(s.logits, s.labels + 1), Error);  // class 3 of 3
  DiceCeOptions two;
  two.class_weights = {1, 1};
  EXPECT_THROW(dice_ce(s.logits, s.labels, two), Error);
}

}  // namespace
}  // namespace homolog::task
