// The map between template and body: invertible, known exactly, of the strength that was asked for.
#include "sharding/phantom/body.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "sharding/phantom/phantom.h"

namespace homolog::phantom {
namespace {

double lowest_jacobian(const Body& body) {
  const Grid grid = body.grid(9);
  double lowest = 10;
  for (Index3 k; k.z < grid.size.z; ++k.z) {
    for (k.y = 0; k.y < grid.size.y; ++k.y) {
      for (k.x = 0; k.x < grid.size.x; ++k.x) {
        lowest = std::min(lowest, body.jacobian(grid.to_world(k)));
      }
    }
  }
  return lowest;
}

class AtStrength : public testing::TestWithParam<double> {};

TEST_P(AtStrength, InversionLeavesNoResidual) {
  const auto landmarks = draw_landmarks(11, 200);
  for (std::uint64_t i = 0; i < 4; ++i) {
    const Body body(11, i, GetParam());
    for (const Landmark& landmark : landmarks) {
      const Point3 back = body.to_template(body.from_template(landmark.at));
      EXPECT_LT(distance(back, landmark.at), 1e-5);
    }
  }
}

TEST_P(AtStrength, NeverFolds) {
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_GT(lowest_jacobian(Body(11, i, GetParam())), 0.2);
  }
}

TEST_P(AtStrength, HomologOfIsItsOwnInverse) {
  const Body a(11, 0, GetParam()), b(11, 1, GetParam());
  for (const Landmark& landmark : draw_landmarks(5, 100)) {
    const Point3 in_a = a.from_template(landmark.at);
    const Point3 in_b = homolog_of(a, b, in_a);
    EXPECT_LT(distance(in_b, b.from_template(landmark.at)), 1e-4);
    EXPECT_LT(distance(homolog_of(b, a, in_b), in_a), 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Body, AtStrength, testing::Values(0.0, 0.5, 1.0, 2.0));

TEST(Body, WeakensADrawThatWouldNearlyFold) {
  int weakened = 0;
  for (std::uint64_t i = 0; i < 20; ++i) {
    const Body body(1, i, 2);
    if (body.parameters().deformation_scale == 1) continue;
    ++weakened;
    EXPECT_LT(body.parameters().deformation_scale, 0.94);
    EXPECT_GT(lowest_jacobian(body), 0.2) << body.id();
  }
  EXPECT_GE(weakened, 1);
}

TEST(Body, JacobianIsTheVolumeChangeOfTheMap) {
  const Body body(4, 2, 1);
  const Point3 p = body.from_template({30, -20, 250}), s = body.parameters().scale;
  const double h = 1e-3;
  const auto difference = [&](Point3 step) {
    const Point3 u = body.to_template({p.x + step.x, p.y + step.y, p.z + step.z});
    const Point3 v = body.to_template({p.x - step.x, p.y - step.y, p.z - step.z});
    return Point3{(u.x - v.x) / (2 * h), (u.y - v.y) / (2 * h), (u.z - v.z) / (2 * h)};
  };
  const Point3 x = difference({h, 0, 0}), y = difference({0, h, 0}), z = difference({0, 0, h});
  EXPECT_NEAR(determinant({x.x, y.x, z.x, x.y, y.y, z.y, x.z, y.z, z.z}) * s.x * s.y * s.z,
              body.jacobian(p), 1e-6);
}

double rms_displacement(double strength, std::uint64_t bodies) {
  const auto landmarks = draw_landmarks(1, 300);
  double sum = 0;
  for (std::uint64_t i = 0; i < bodies; ++i) {
    const Body body(21, i, strength);
    for (const Landmark& landmark : landmarks) {
      const double d = distance(body.deformation().at(body.from_template(landmark.at)), {});
      sum += d * d;
    }
  }
  return std::sqrt(sum / static_cast<double>(bodies * landmarks.size()));
}

TEST(Body, DisplacementIsNearItsNominalStrength) {
  // 10 mm of smooth displacement and, where organs are, up to 5 mm of jitter per axis on top.
  const double full = rms_displacement(1, 10), half = rms_displacement(0.5, 10);
  EXPECT_GT(full, 9);
  EXPECT_LT(full, 16);
  EXPECT_NEAR(half / full, 0.5, 0.05);
  EXPECT_EQ(rms_displacement(0, 2), 0);
}

TEST(Body, DependsOnSeedAndIndexAlone) {
  const Body a(1, 3, 0.5), again(1, 3, 0.5), other_index(1, 4, 0.5), other_seed(2, 3, 0.5);
  const Point3 p{10, -20, 300};
  EXPECT_EQ(a.from_template(p), again.from_template(p));
  EXPECT_EQ(a.grid(3), again.grid(3));
  EXPECT_GT(distance(a.from_template(p), other_index.from_template(p)), 1);
  EXPECT_GT(distance(a.from_template(p), other_seed.from_template(p)), 1);
  EXPECT_EQ(a.id(), "phantom-0003");
}

TEST(Body, GridIsCanonicalAndFramesTheTrunk) {
  for (std::uint64_t i = 0; i < 8; ++i) {
    const Grid grid = Body(1, i, 0.5).grid(3);
    EXPECT_EQ(grid.direction, Grid{}.direction);
    EXPECT_GT(static_cast<double>(grid.size.z) * 3, 380);
    EXPECT_GE(grid.size.x, 130);
    EXPECT_GE(grid.size.y, 95);
  }
}

TEST(Body, RefusesStrengthAndSpacingOutOfRange) {
  for (const double bad : {-0.1, 2.1, std::nan("")}) {
    try {
      const Body body(1, 0, bad);
      FAIL() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage);
    }
  }
  EXPECT_THROW(Body(1, 0, 0.5).grid(0), Error);
}

}  // namespace
}  // namespace homolog::phantom
