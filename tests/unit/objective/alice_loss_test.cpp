// The loss's closed forms: uniform logits, temperature points, region of the reconstruction.
#include "objective/alice_loss.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

namespace homolog::objective::alice {
namespace {

TEST(AliceLoss, ZeroLogitsGiveTheLogarithmOfTheirNumber) {
  const torch::Tensor cls = torch::zeros({4, 512}), tokens = torch::zeros({4, 8, 512});
  EXPECT_NEAR(inter_loss({}, cls, torch::zeros({1, 512}), cls, 0).item<double>(), std::log(512.0),
              1e-5);
  EXPECT_NEAR(intra_loss({}, tokens, torch::zeros({1, 1, 512}), tokens, 0).item<double>(),
              std::log(512.0), 1e-5);
}

TEST(AliceLoss, TemperatureRunsThroughTheMethodsPoints) {
  EXPECT_DOUBLE_EQ(target_temperature({}, 0), 0.008);
  EXPECT_NEAR(target_temperature({}, 15), 0.0090345, 1e-7);
  EXPECT_DOUBLE_EQ(target_temperature({}, 29), 0.010);
  EXPECT_DOUBLE_EQ(target_temperature({}, 30), 0.010);
  EXPECT_DOUBLE_EQ(target_temperature({}, 3, 5), 0.008);
}

TEST(AliceLoss, ClassTermsAreCrossedAndTokenTermsStraight) {
  // Target rows Q, K point to classes 0, 1; a student that answers with the other volume's class is
  // right.
  torch::Tensor target = torch::zeros({2, 4}), crossed = torch::zeros({2, 4});
  target[0][0] = target[1][1] = 1;
  crossed[0][1] = crossed[1][0] = 1;
  const torch::Tensor centre = torch::zeros({1, 4});
  EXPECT_LT(inter_loss({}, target, centre, crossed, 0).item<double>(), 0.01);
  EXPECT_GT(inter_loss({}, target, centre, target, 0).item<double>(), 5);
  EXPECT_LT(intra_loss({}, target.unsqueeze(1), centre, target.unsqueeze(1), 0).item<double>(),
            0.01);
}

TEST(AliceLoss, NoGradientReachesTheTarget) {
  const torch::Tensor target = torch::rand({2, 4}, torch::requires_grad()),
                      student = torch::rand({2, 4}, torch::requires_grad());
  inter_loss({}, target, torch::zeros({1, 4}), student, 0).backward();
  EXPECT_FALSE(target.grad().defined());
  EXPECT_TRUE(student.grad().defined());
}

TEST(AliceLoss, MaskedRegionCountsMaskedVoxelsOnly) {
  const torch::Tensor image = torch::zeros({1, 1, 2, 2, 2}),
                      visible = torch::zeros({1, 1, 2, 2, 2});
  torch::Tensor output = torch::ones({1, 1, 2, 2, 2});
  visible.slice(2, 0, 1).fill_(1);
  output.slice(2, 0, 1).fill_(3);
  EXPECT_DOUBLE_EQ(reconstruction_loss({}, output, image, visible).item<double>(),
                   0.5 * (9 + 1) / 2);
  EXPECT_DOUBLE_EQ(reconstruction_loss({.reconstruction_region = "masked"}, output, image, visible)
                       .item<double>(),
                   0.5);
}

TEST(AliceLoss, CentreStaysWhereNothingWasCounted) {
  torch::Tensor centre = torch::ones({1, 4});
  update_centre(centre, centre_sums({}, 4), 0.9);
  EXPECT_TRUE(torch::equal(centre, torch::ones({1, 4})));
}

}  // namespace
}  // namespace homolog::objective::alice
