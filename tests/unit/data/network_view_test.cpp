// Claims about orientation, scale and augmentation: left stays left, the landmark stays at R/2.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "data/augment.h"
#include "data/to_network.h"
#include "volume/crop.h"

namespace homolog::data {
namespace {

TEST(ToNetwork, LandmarkStandsAtHalfOnEachAxis) {
  for (const Index3 size : {Index3{8, 6, 4}, Index3{16, 16, 8}, Index3{192, 192, 64}}) {
    const Index3 at = landmark_in_crop(size);
    at::Tensor stored = at::zeros({1, size.z, size.y, size.x}, at::kShort);
    stored[0][at.z][at.y][at.x] = 380;
    const at::Tensor out = to_network(stored, 380);
    ASSERT_EQ(out.sizes(), (std::vector<std::int64_t>{1, 1, size.x, size.y, size.z}));
    EXPECT_EQ(out.sum().item<float>(), 1.F);
    EXPECT_EQ((out[0][0][size.x / 2][size.y / 2][size.z / 2].item<float>()), 1.F);
  }
}

TEST(ToNetwork, OnePassEqualsFlipPermuteAndScale) {
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{1, 1, 1, 1}, {2, 16, 32, 16}, {3, 5, 7, 33}, {1, 17, 3, 48}}) {
    const at::Tensor stored = at::randint(0, 381, shape, at::kShort);
    const at::Tensor plain = stored.permute({0, 3, 2, 1}).flip({1, 2}).unsqueeze(1).to(at::kFloat);
    EXPECT_TRUE(at::equal(to_network(stored, 380), plain.div(380.0F))) << at::IntArrayRef(shape);
    const at::Tensor part = stored.narrow(3, 0, (shape[3] + 1) / 2);  // not contiguous
    EXPECT_TRUE(at::equal(to_network(part, 380), to_network(part.contiguous(), 380)))
        << at::IntArrayRef(shape);
  }
}

TEST(ToNetwork, LeftStaysLeft) {
  // Stored LPS: x grows to the patient's left. Bright on the left, front (low y) and top (high z).
  at::Tensor stored = at::zeros({1, 4, 6, 8}, at::kShort);
  stored[0][3][0][7] = 100;
  // RAS+: x grows to the right, so left is x = 0; y grows to the front, so front is the last y.
  const at::Tensor out = to_network(stored, 200);
  EXPECT_EQ((out[0][0][0][5][3].item<float>()), 0.5F);
  EXPECT_EQ(out.sum().item<float>(), 0.5F);
  EXPECT_TRUE(out.is_contiguous());
}

TEST(TakeCrop, ShiftsStayWithinTheMarginAndAreTheSameForBothViews) {
  const at::Tensor stored = at::arange(2 * 8 * 10 * 12, at::kShort).view({2, 8, 10, 12});
  const std::vector<std::uint64_t> ids{3, 4};
  EXPECT_TRUE(at::equal(take_crop(stored, 2, ids, 1, 0, false),
                        stored.slice(1, 2, 6).slice(2, 2, 8).slice(3, 2, 10)));
  const at::Tensor a = take_crop(stored, 2, ids, 1, 0, true);
  EXPECT_EQ(a.sizes(), (std::vector<std::int64_t>{2, 4, 6, 8}));
  EXPECT_TRUE(at::equal(a, take_crop(stored, 2, ids, 1, 0, true)));
  EXPECT_FALSE(at::equal(a, take_crop(stored, 2, ids, 1, 1, true)));
  EXPECT_TRUE(at::equal(a[1], take_crop(stored.slice(0, 1, 2), 2, {4}, 1, 0, true)[0]));
}

TEST(Augment, DependsOnSampleAndEpochNotOnTheBatch) {
  const at::Tensor crop = at::rand({3, 1, 12, 10, 4});
  const at::Tensor all = augment(crop, {5, 6, 7}, 1, 2, View::Query);
  EXPECT_TRUE(at::equal(all.slice(0, 1, 2), augment(crop.slice(0, 1, 2), {6}, 1, 2, View::Query)));
  EXPECT_FALSE(at::equal(all, augment(crop, {5, 6, 7}, 1, 3, View::Query)));
  EXPECT_FALSE(at::equal(all, augment(crop, {5, 6, 7}, 1, 2, View::Key)));
  EXPECT_FALSE(at::equal(all, augment(crop, {5, 6, 7}, 2, 2, View::Query)));
}

TEST(Augment, NoiseHasTheStatedDeviationAndNoRotationKeepsTheCrop) {
  const at::Tensor crop = at::rand({1, 1, 32, 32, 16});
  EXPECT_TRUE(at::equal(augment(crop, {1}, 1, 0, View::Query, {0, 0}), crop));
  const at::Tensor noise = augment(crop, {1}, 1, 0, View::Query, {0, 0.1}) - crop;
  EXPECT_NEAR(noise.std().item<double>(), 0.1, 0.005);
  EXPECT_NEAR(noise.mean().item<double>(), 0.0, 0.005);
}

TEST(Augment, TurnsTheAxialPlaneAboutItsCentreAndFillsWithZero) {
  const auto quarter = rotation_source(3, 3, 90);
  EXPECT_EQ(quarter[4], 4) << "the centre stays";
  EXPECT_EQ(quarter[0 * 3 + 0], 0 * 3 + 2);  // (0,0) comes from (0,2)
  const auto turned = rotation_source(32, 32, 15);
  EXPECT_EQ(turned[0], -1) << "a corner comes from outside";
  EXPECT_GT(std::count(turned.begin(), turned.end(), -1), 20);
}

}  // namespace
}  // namespace homolog::data
