// B-spline displacement: the fast row, the gradient and the plain value agree.
#include "sharding/phantom/deformation.h"

#include <gtest/gtest.h>

#include "base/counter_rng.h"

namespace homolog::phantom {
namespace {

Deformation random_field() {
  CounterRng rng(3, "test", 0);
  Deformation field({-40, -30, -20}, 12.5, {8, 7, 6});
  field.set([&](const Point3&) { return Point3{rng.normal(), rng.normal(), rng.normal()}; });
  return field;
}

TEST(Deformation, RowAgreesWithSinglePoints) {
  const Deformation field = random_field();
  std::vector<float> dx(60), dy(60), dz(60);
  field.row(3.7, 11.2, -90, 3.1, dx, dy, dz);  // starts and ends beyond the control grid
  for (std::size_t i = 0; i < dx.size(); ++i) {
    const Point3 d = field.at({-90 + 3.1 * static_cast<double>(i), 3.7, 11.2});
    EXPECT_NEAR(dx[i], d.x, 1e-5);
    EXPECT_NEAR(dy[i], d.y, 1e-5);
    EXPECT_NEAR(dz[i], d.z, 1e-5);
  }
}

TEST(Deformation, GradientIsTheDerivativeOfTheValue) {
  const Deformation field = random_field();
  const double h = 1e-4;
  for (const Point3 p : {Point3{1, 2, 3}, Point3{-35, 20, 31}, Point3{-60, 0, 0}}) {
    const auto g = field.gradient(p);
    const Point3 x1 = field.at({p.x + h, p.y, p.z}), x0 = field.at({p.x - h, p.y, p.z});
    const Point3 y1 = field.at({p.x, p.y + h, p.z}), y0 = field.at({p.x, p.y - h, p.z});
    const Point3 z1 = field.at({p.x, p.y, p.z + h}), z0 = field.at({p.x, p.y, p.z - h});
    const double expected[9] = {x1.x - x0.x, y1.x - y0.x, z1.x - z0.x, x1.y - x0.y, y1.y - y0.y,
                                z1.y - z0.y, x1.z - x0.z, y1.z - y0.z, z1.z - z0.z};
    for (std::size_t i = 0; i < 9; ++i)
      EXPECT_NEAR(g[i], expected[i] / (2 * h), 1e-6) << "entry " << i;
  }
}

TEST(Deformation, ConstantCoefficientsGiveThatConstantEverywhere) {
  Deformation field({0, 0, 0}, 10, {4, 4, 4});
  field.set([](const Point3&) { return Point3{1, -2, 3}; });
  for (const Point3 p : {Point3{15, 15, 15}, Point3{-100, 4, 900}}) {
    const Point3 d = field.at(p);
    EXPECT_NEAR(d.x, 1, 1e-12);
    EXPECT_NEAR(d.y, -2, 1e-12);
    EXPECT_NEAR(d.z, 3, 1e-12);
  }
}

}  // namespace
}  // namespace homolog::phantom
