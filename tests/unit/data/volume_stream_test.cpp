// SAM's stream: what it gives depends on (seed, epoch, index) alone, and coordinates tell the
// truth.
#include "data/volume_stream.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <atomic>
#include <set>

#include "base/error.h"

namespace homolog::data {
namespace {

// A body whose HU is a linear function of place, in a rim of air.
Volume ramp(std::size_t index) {
  Volume v;
  v.id = std::to_string(index);
  v.grid.size = {50, 44, 40};
  v.grid.spacing = {4, 4, 4};
  v.hu.assign(static_cast<std::size_t>(v.grid.voxels()), kAirHu);
  for (std::int64_t z = 0; z < 40; ++z) {
    for (std::int64_t y = 2; y < 42; ++y) {
      for (std::int64_t x = 3; x < 47; ++x)
        v.at({x, y, z}) = static_cast<std::int16_t>(10 * (x - 3) + 5 * (y - 2) + 3 * z);
    }
  }
  return v;
}

VolumeStreamPlan small() {
  VolumeStreamPlan p;
  p.view.spacing_mm = 4;
  p.view.patch_xyz = {24, 16, 16};
  p.view.margin_xyz = {4, 4, 4};
  p.view.noise_hu = 0;
  p.patches_per_volume = 3;
  p.batch = 2;
  p.ahead = 3;
  return p;
}

std::vector<std::uint64_t> ids(VolumeStream& stream, int batches) {
  std::vector<std::uint64_t> all;
  for (int i = 0; i < batches; ++i) {
    const ViewBatch b = stream.next();
    all.insert(all.end(), b.ids.begin(), b.ids.end());
  }
  return all;
}

TEST(VolumeStream, CoordinatesSayWhereEachVoxelCameFrom) {
  for (const double warp : {0.0, 3.0}) {
    VolumeStreamPlan p = small();
    p.view.elastic_mm = warp;
    const Volume body = prepare_body(ramp(0), p.view);
    EXPECT_EQ(body.grid.size, (Index3{44, 40, 40}));  // the rim of air is cut off
    CounterRng rng(1, "test", 7);
    const TwoViews views = cut_two_views(body, p.view, rng);
    for (const PatchView& v : {views.first, views.second}) {
      const torch::Tensor mm = v.grid_3ZYX, hu = 2.5 * mm[0] + 1.25 * mm[1] + 0.75 * mm[2];
      const torch::Tensor want = (hu + 1024) / 4095 * 255 - 50;
      const torch::Tensor inside = (v.valid_1ZYX[0] > 0) & (mm[0] >= 0) & (mm[1] >= 0) &
                                   (mm[2] >= 0) & (mm[0] <= 172) & (mm[1] <= 156) & (mm[2] <= 156);
      ASSERT_GT(inside.sum().item<std::int64_t>(), 1000);
      EXPECT_LT((v.image_1ZYX[0] - want).abs().index({inside}).max().item<double>(), 0.05);
    }
  }
}

TEST(VolumeStream, ScaleStretchesTheViewsVoxels) {
  VolumeStreamPlan p = small();
  p.view.scale_low = p.view.scale_high = 1.2;
  CounterRng rng(1, "test", 1);
  const TwoViews views = cut_two_views(prepare_body(ramp(0), p.view), p.view, rng);
  const torch::Tensor x = views.first.grid_3ZYX[0];
  EXPECT_NEAR((x[0][0][1] - x[0][0][0]).item<double>(), 4.8, 1e-4);
}

TEST(VolumeStream, TheSameWhateverThreadsAndRestart) {
  VolumeStreamPlan p = small();
  VolumeStream one(p, 5, ramp, {});
  std::vector<ViewBatch> all;
  for (int i = 0; i < 9; ++i) all.push_back(one.next());
  p.threads = 3;
  VolumeStream again(p, 5, ramp, all[5].next);
  for (std::size_t i = 6; i < 9; ++i) {
    const ViewBatch b = again.next();
    EXPECT_EQ(b.ids, all[i].ids);
    EXPECT_TRUE(torch::equal(b.first_B1ZYX, all[i].first_B1ZYX));
    EXPECT_TRUE(torch::equal(b.second_grid_B3ZYX, all[i].second_grid_B3ZYX));
    EXPECT_EQ(b.next, all[i].next);
  }
}

TEST(VolumeStream, TwoRanksShareWhatOneRankTakes) {
  VolumeStreamPlan p = small();
  p.batch = 4;
  VolumeStream one(p, 5, ramp, {});
  p.batch = 2;
  p.world = 2;
  VolumeStream left(p, 5, ramp, {});
  p.rank = 1;
  VolumeStream right(p, 5, ramp, {});
  for (int step = 0; step < 4; ++step) {
    std::vector<std::uint64_t> both = ids(left, 1), other = ids(right, 1);
    both.insert(both.end(), other.begin(), other.end());
    EXPECT_EQ(both, ids(one, 1));
  }
}

TEST(VolumeStream, EachSampleIsUsedOnceAnEpochAndTheTailChanges) {
  VolumeStreamPlan p = small();  // 5 volumes x 3 = 15 samples, 7 steps of 2
  VolumeStream stream(p, 5, ramp, {});
  EXPECT_EQ(stream.steps_per_epoch(), 7);
  const auto first = ids(stream, 7);
  EXPECT_EQ(std::set<std::uint64_t>(first.begin(), first.end()).size(), 14u);
  std::set<std::int64_t> left_out;
  for (std::uint64_t epoch = 0; epoch < 12; ++epoch)
    left_out.insert(sample_source(p.seed, epoch, 14, 5, 3).volume);
  EXPECT_GT(left_out.size(), 2u);
}

TEST(VolumeStream, ASmallCacheReadsAgainAndGivesTheSame) {
  VolumeStreamPlan p = small();
  std::atomic<int> loads = 0;
  const auto counted = [&](std::size_t i) { return ++loads, ramp(i); };
  VolumeStream wide(p, 5, ramp, {});
  p.cache_mib = 0;
  VolumeStream narrow(p, 5, counted, {});
  for (int i = 0; i < 8; ++i)
    EXPECT_TRUE(torch::equal(narrow.next().first_B1ZYX, wide.next().first_B1ZYX));
  EXPECT_GT(loads, 5);
}

TEST(VolumeStream, AVolumeThatFailsToLoadIsStoodInForBySomeOtherWhateverTheThreads) {
  const auto broken = [](std::size_t i) {
    if (i == 1 || i == 2) throw Error(Fault::Data, "scan " + std::to_string(i) + " is gone");
    return ramp(i);
  };
  VolumeStreamPlan p = small();
  VolumeStream one(p, 5, broken, {}), whole(p, 5, ramp, {});
  p.threads = 3;
  VolumeStream several(p, 5, broken, {});
  for (int i = 0; i < 10; ++i) {
    const ViewBatch a = one.next(), b = several.next();
    EXPECT_EQ(a.ids, whole.next().ids);
    EXPECT_EQ(a.ids, b.ids);
    EXPECT_TRUE(torch::equal(a.first_B1ZYX, b.first_B1ZYX));
  }
}

TEST(VolumeStream, WhenNoVolumeLoadsThatIsADataFault) {
  VolumeStreamPlan p = small();
  p.threads = 3;
  VolumeStream stream(
      p, 5, [](std::size_t) -> Volume { throw Error(Fault::Data, "scan 3 is gone"); }, {});
  try {
    stream.next();
    FAIL() << "no error";
  } catch (const Error& fault) {
    EXPECT_EQ(fault.fault(), Fault::Data);
    EXPECT_NE(fault.summary().find("none of the 5 volumes"), std::string::npos);
  }
}

TEST(VolumeStream, AFaultOfTheMachineReachesTheReader) {
  VolumeStream stream(
      small(), 5, [](std::size_t) -> Volume { throw Error(Fault::Environment, "no memory"); }, {});
  EXPECT_THROW(stream.next(), Error);
}

TEST(VolumeStream, TooFewSamplesAreRefusedWithTheNumber) {
  VolumeStreamPlan p = small();
  p.batch = 16;
  try {
    VolumeStream stream(p, 5, ramp, {});
    FAIL() << "no error";
  } catch (const Error& fault) {
    EXPECT_NE(fault.summary().find("5 volumes"), std::string::npos);
  }
}

}  // namespace
}  // namespace homolog::data
