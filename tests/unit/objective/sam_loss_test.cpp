// SAM's losses on made-up maps; the reference's numbers are in tests/golden.
#include "objective/sam_loss.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "objective/objective_entry.h"

namespace homolog::objective {
namespace {

using torch::Tensor;

Tensor grid(double x0, double y0, double z0) {  // 5 mm voxels, (3, 16, 16, 16)
  const auto axis = [](double start) { return torch::arange(16).to(torch::kFloat) * 5 + start; };
  const auto mesh = torch::meshgrid({axis(z0), axis(y0), axis(x0)}, "ij");
  return torch::stack({mesh[2], mesh[1], mesh[0]});
}

// Vectors that are a function of place alone: what a perfect network would give.
Tensor places(const Tensor& mm_3ZYX) {
  torch::manual_seed(1);
  const Tensor wave = torch::randn({32, 3}) * 0.08, phase = torch::rand({32}) * 6.28;
  const Tensor map =
      torch::cos(torch::einsum("cd,dzyx->czyx", {wave, mm_3ZYX}) + phase.view({32, 1, 1, 1}));
  return map / map.norm(2, 0, true);
}

SamView view(const Tensor& mm_3ZYX, bool perfect = true) {
  SamView v = sam_view(torch::zeros({32, 8, 8, 8}), torch::zeros({32, 4, 2, 2}), mm_3ZYX,
                       torch::ones({1, 16, 16, 16}));
  const auto fill = [&](const Tensor& mm) {
    const Tensor map = places(mm);
    return perfect ? map
                   : map.flatten(1).index_select(1, torch::randperm(map[0].numel())).view_as(map);
  };
  v.fine_CZYX = fill(v.fine_mm_3ZYX);
  v.coarse_CZYX = fill(v.coarse_mm_3ZYX);
  return v;
}

SamLossPlan plan(const std::string& negatives) {
  SamLossPlan p;
  p.temperature = 0.1;
  p.fine_positive_mm = 6;
  p.fine_ignore_mm = 12;
  p.coarse_positive_mm = 40;
  p.coarse_dz_mm = p.coarse_dz_first_mm = 15;
  p.fine_negatives = negatives;
  p.fine_negative_candidates = 300;
  p.fine_negatives_used = 200;
  return p;
}

Tensor draw(std::int64_t n, std::int64_t k) {
  return torch::randperm(n).slice(0, 0, std::min(n, k));
}
const Tensor kNone = torch::empty({0, 32});

TEST(SamLoss, AgreeingViewsCostLessThanShuffledOnes) {
  const SamView one = view(grid(0, 0, 0)), two = view(grid(10, 5, 5)),
                wrong = view(grid(10, 5, 5), false);
  for (const char* negatives : {"mined", "random"}) {
    const SamLossPlan p = plan(negatives);
    EXPECT_LT(sam_fine_loss(one, two, p, draw).item<double>(),
              sam_fine_loss(one, wrong, p, draw).item<double>() - 1)
        << negatives;
    EXPECT_LT(sam_coarse_loss(one, two, kNone, p, draw).item<double>(),
              sam_coarse_loss(one, wrong, kNone, p, draw).item<double>() - 1);
  }
}

TEST(SamLoss, ExcludedCellsAreNoNegatives) {
  const SamView one = view(grid(0, 0, 0)), two = view(grid(10, 5, 5));
  for (const char* negatives : {"mined", "random"}) {
    SamLossPlan p = plan(negatives);
    p.fine_ignore_mm = p.coarse_ignore_mm = 1000;  // then nothing is left but the positive
    EXPECT_NEAR(sam_fine_loss(one, two, p, draw).item<double>(), 0, 1e-6);
    EXPECT_NEAR(sam_coarse_loss(one, two, kNone, p, draw).item<double>(), 0, 1e-6);
    EXPECT_GT(
        sam_coarse_loss(one, two, places(grid(0, 0, 0)).flatten(1).t(), p, draw).item<double>(),
        0.1);  // other volumes still count
  }
}

TEST(SamLoss, ViewsThatDoNotMeetStillTeach) {
  SamView one = view(grid(0, 0, 0));
  const SamView far = view(grid(5000, 0, 0));
  one.fine_CZYX.requires_grad_(true);
  one.coarse_CZYX.requires_grad_(true);
  const Tensor loss = sam_fine_loss(one, far, plan("mined"), draw) +
                      sam_coarse_loss(one, far, kNone, plan("mined"), draw);
  ASSERT_TRUE(std::isfinite(loss.item<double>()));
  loss.backward();
  EXPECT_GT(one.fine_CZYX.grad().norm().item<double>(), 0);
  EXPECT_TRUE(torch::isfinite(one.fine_CZYX.grad()).all().item<bool>() &&
              torch::isfinite(one.coarse_CZYX.grad()).all().item<bool>());
}

TEST(SamObjective, TheLeastInputFollowsTheConfiguredStride) {
  const auto cell = [](const char* stride) {
    Options options("test", "", "");
    const auto factory = find("sam").factory();
    factory->declare(options);
    const char* words[] = {"test", "--objective.sam.coarse_stride", stride};
    options.parse(3, words);
    return factory->cell();
  };
  EXPECT_EQ(cell("4,16,16"), (backbone::Size3{16, 16, 4}));
  EXPECT_EQ(cell("4,8,8"), (backbone::Size3{8, 8, 4}));
  EXPECT_THROW(cell("4,12,12"), Error);
}

TEST(SamObjective, DrawsDependOnTheSampleAlone) {
  Options options("test", "", "");
  auto factory = find("sam").factory();
  factory->declare(options);
  const char* words[] = {"test",
                         "--objective.sam.width=2",
                         "--objective.sam.embedding=8",
                         "--objective.sam.coarse_stride=4,8,8",
                         "--objective.sam.fine_positive_mm=8",
                         "--objective.sam.fine_points=5",
                         "--objective.sam.fine_negatives=random"};
  options.parse(7, words);
  torch::manual_seed(1);
  auto sam = factory->make(*backbone::catalog().front()->factory(), {1, 1, 1});
  sam->online().eval();
  EXPECT_EQ(sam->target(), nullptr);
  Views views;
  views.tensors = {{"first_B1ZYX", torch::randn({2, 1, 16, 16, 16}) * 50},
                   {"second_B1ZYX", torch::randn({2, 1, 16, 16, 16}) * 50},
                   {"first_grid_B3ZYX", torch::stack({grid(0, 0, 0), grid(0, 0, 0)})},
                   {"second_grid_B3ZYX", torch::stack({grid(10, 5, 5), grid(0, 10, 5)})},
                   {"first_valid_B1ZYX", torch::ones({2, 1, 16, 16, 16})},
                   {"second_valid_B1ZYX", torch::ones({2, 1, 16, 16, 16})}};
  views.ids = {4, 9};
  const auto total = [&] { return sam->evaluate(views, {}).total.item<double>(); };
  const double before = total();
  EXPECT_EQ(total(), before);
  views.ids = {4, 10};
  EXPECT_NE(total(), before);
  const Loss loss = sam->evaluate(views, {});
  EXPECT_NEAR(loss.terms.at(0).value.item<double>() + loss.terms.at(1).value.item<double>(),
              loss.total.item<double>(), 1e-5);
}

}  // namespace
}  // namespace homolog::objective
