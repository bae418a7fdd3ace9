// Matching on made-up embeddings, where the right answer is known.
#include "sharding/match/matcher.h"

#include <gtest/gtest.h>
#include <torch/nn/functional.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "sharding/match/similarity.h"

namespace homolog::match {
namespace {

torch::Tensor unit(const torch::Tensor& map_CDHW) { return map_CDHW / map_CDHW.norm(2, 0, true); }

// Smooth random maps, so that neighbouring cells are alike.
Embedding random_embedding(std::int64_t seed, std::int64_t depth = 6, std::int64_t height = 9,
                           std::int64_t width = 10) {
  torch::manual_seed(static_cast<std::uint64_t>(seed));
  const auto smooth = [](const torch::Tensor& t) {
    return torch::avg_pool3d(t.unsqueeze(0), {3, 3, 3}, {1, 1, 1}, {1, 1, 1})[0];
  };
  Embedding e;
  e.volume_id = "made-up";
  e.sam_hash = "0123456789abcdef";
  e.fine_CDHW = unit(smooth(torch::randn({16, depth, height, width})));
  e.coarse_CDHW = unit(torch::randn({16, depth / 2, (height + 7) / 8, (width + 7) / 8}));
  e.sam_grid.spacing = {2, 2, 2};
  e.sam_grid.size = {width * 2, height * 2, depth * 2};
  e.volume_grid = e.sam_grid;
  return e;
}

TEST(Matcher, APointOfAVolumeIsFoundInTheSameVolume) {
  const Embedding e = random_embedding(1);
  for (const Mode mode : {Mode::Exact, Mode::Refined}) {
    for (const Point3& p : {Point3{4.5, 6.5, 4.5}, Point3{10.5, 12.5, 8.5}}) {
      const Match m = match_points(e, e, {p}, mode).front();
      EXPECT_NEAR(m.score, 1.0, 1e-5);
      EXPECT_LE(distance(m.index, p), mode == Mode::Exact ? 1.0 : 0.6)
          << m.index.x << " " << m.index.y << " " << m.index.z;
    }
  }
}

TEST(Matcher, SimilarityEqualsTheUpSampledMapsWhichItNeverHolds) {
  const Embedding query = random_embedding(2), key = random_embedding(3, 7, 11, 13);
  const QueryVectors q = query_vectors(query, {{3, 4, 5}, {8, 1, 9}}, Mode::Exact);
  const KeyField field(key, Mode::Exact);
  const auto options = torch::nn::functional::InterpolateFuncOptions()
                           .size(key.fine_CDHW.sizes().slice(1).vec())
                           .mode(torch::kTrilinear)
                           .align_corners(false);
  const torch::Tensor wide =
      unit(torch::nn::functional::interpolate(key.coarse_CDHW.unsqueeze(0), options)[0]);
  const torch::Tensor want =
      0.5 * (q.fine_PC.matmul(key.fine_CDHW.flatten(1)) + q.coarse_PC.matmul(wide.flatten(1)));
  const torch::Tensor coarse = field.coarse_field(q.coarse_PC);
  const torch::Tensor got =
      torch::cat({field.layers(q, coarse, 0, 3), field.layers(q, coarse, 3, 7)}, 1);
  EXPECT_LT((got - want).abs().max().item<double>(), 2e-6);
  EXPECT_NEAR(field.at(q, coarse, 1, {5, 2, 4}), want[1][(4 * 11 + 2) * 13 + 5].item<double>(),
              2e-6);
}

TEST(Matcher, RefinedFollowsAShiftOfAFractionOfACell) {
  // Fine vectors whose likeness falls smoothly with distance; the key's are the query's, half a
  // cell on.
  const auto map = [](double shift) {
    const torch::Tensor x = torch::arange(24).to(torch::kFloat) - shift,
                        centres = torch::linspace(-2, 26, 29);
    const torch::Tensor bumps = torch::exp(-(x.unsqueeze(0) - centres.unsqueeze(1)).pow(2) / 8);
    return unit(bumps.view({29, 1, 1, 24}).expand({29, 3, 3, 24}).contiguous());
  };
  Embedding query = random_embedding(4, 3, 3, 24), key = query;
  query.fine_CDHW = map(0);
  key.fine_CDHW = map(0.4);
  query.coarse_CDHW = key.coarse_CDHW = unit(torch::ones({16, 1, 1, 3}));
  const double at = 20.5;  // cell 10
  const Match refined = match_points(query, key, {{at, 2.5, 2.5}}, Mode::Refined).front();
  EXPECT_NEAR(refined.index.x, at + 0.8, 0.1);
}

TEST(Matcher, BatchesGiveWhatSinglePointsGive) {
  const Embedding query = random_embedding(5), key = random_embedding(6);
  std::vector<Point3> points;
  for (int i = 0; i < 150; ++i)
    points.push_back({double(i % 19), double(i * 7 % 17), double(i * 3 % 11)});
  const auto together = match_points(query, key, points);
  ASSERT_EQ(together.size(), points.size());
  for (const std::size_t i : {std::size_t{0}, std::size_t{63}, std::size_t{64}, std::size_t{149}}) {
    const Match alone = match_points(query, key, {points[i]}).front();
    EXPECT_EQ(together[i].voxel, alone.voxel) << i;
    EXPECT_NEAR(together[i].score, alone.score, 1e-6);
  }
}

TEST(Matcher, NeighboursAreMatchedAloneAndAveragedBeforeTheWayBack) {
  const Embedding query = random_embedding(10), key = random_embedding(11);
  const Index3 own{4, 3, 2};
  std::vector<Index3> around;
  for (int i = 0; i < 27; ++i)
    around.push_back({own.x + i % 3 - 1, own.y + i / 3 % 3 - 1, own.z + i / 9 - 1});
  Point3 cell{0, 0, 0};
  double score = 0;
  for (const CellMatch& m : match_cells(query, key, around)) {
    cell.x += double(m.cell.x) / 27, cell.y += double(m.cell.y) / 27;
    cell.z += double(m.cell.z) / 27, score += m.score / 27;
  }
  const Match m = match_points(query, key, {{8, 6, 4}}, Mode::Exact, 1).front();
  EXPECT_NEAR(m.score, score, 1e-6);
  EXPECT_EQ(m.index.x, std::trunc(2 * cell.x + 0.5));
  EXPECT_EQ(m.index.y, std::trunc(2 * cell.y + 0.5));
  EXPECT_EQ(m.index.z, std::trunc(2 * cell.z + 0.5));
  // At a corner, cells beyond the edge repeat it; nothing leaves the key.
  for (const Mode mode : {Mode::Exact, Mode::Refined, Mode::Image}) {
    const Match corner = match_points(query, key, {{0, 0, 0}}, mode, 2).front();
    EXPECT_TRUE(key.volume_grid.contains(corner.voxel));
  }
}

TEST(Matcher, ImageModeTakesTheBestVoxelOfTheInterpolatedSimilarities) {
  const Embedding query = random_embedding(12);
  Embedding key = random_embedding(13);
  key.volume_grid.size = {31, 22, 17};  // no multiple of the cells
  const QueryVectors q = query_vectors(query, {{7, 9, 3}}, Mode::Image);
  const KeyField field(key, Mode::Image);
  const torch::Tensor sims =
      field.layers(q, field.coarse_field(q.coarse_PC), 0, 6).view({1, 1, 6, 9, 10});
  const torch::Tensor image =
      torch::nn::functional::interpolate(sims, torch::nn::functional::InterpolateFuncOptions()
                                                   .size(std::vector<std::int64_t>{17, 22, 31})
                                                   .mode(torch::kTrilinear)
                                                   .align_corners(false));
  const Match m = match_points(query, key, {{7, 9, 3}}, Mode::Image).front();
  EXPECT_NEAR(m.score, image.max().item<double>(), 1e-6);
  EXPECT_NEAR(image[0][0][m.voxel.z][m.voxel.y][m.voxel.x].item<double>(), m.score, 1e-6);
}

TEST(Matcher, ModesHaveTheNamesOfTheirOption) {
  EXPECT_EQ(mode_named("exact"), Mode::Exact);
  EXPECT_EQ(mode_named("refined"), Mode::Refined);
  EXPECT_EQ(mode_named("image"), Mode::Image);
  EXPECT_THROW(mode_named("other"), std::logic_error);
}

TEST(Matcher, MatchesStayInsideTheKey) {
  Embedding query = random_embedding(7), key = random_embedding(8);
  key.volume_grid.size = {5, 5, 3};  // smaller than the grid that was embedded
  for (const Mode mode : {Mode::Exact, Mode::Refined}) {
    for (const Match& m : match_points(query, key, {{-40, 400, 3}, {19, 17, 11}}, mode)) {
      EXPECT_TRUE(key.volume_grid.contains(m.voxel));
    }
  }
}

TEST(Matcher, EmbeddingsOfDifferentWeightsAreRefused) {
  const Embedding query = random_embedding(9);
  Embedding key = query;
  key.sam_hash = "fedcba9876543210";
  try {
    match_points(query, key, {{1, 1, 1}});
    FAIL() << "no error";
  } catch (const Error& fault) {
    EXPECT_EQ(fault.fault(), Fault::Usage);
    EXPECT_NE(fault.summary().find(key.sam_hash), std::string::npos);
  }
}

}  // namespace
}  // namespace homolog::match
