// What the images show: plausible Hounsfield units per organ, left and right, agreement with the
// map.
#include <gtest/gtest.h>

#include <array>
#include <set>

#include "base/error.h"
#include "sharding/phantom/phantom.h"
#include "sharding/phantom/template_body.h"

namespace homolog::phantom {
namespace {

struct Seen {
  double count = 0, hu = 0;
  Point3 centre;  // LPS mm
};

std::array<Seen, kOrgans> survey(const Rendered& rendered) {
  std::array<Seen, kOrgans> seen;
  const Grid& grid = rendered.ct.grid;
  for (Index3 i; i.z < grid.size.z; ++i.z) {
    for (i.y = 0; i.y < grid.size.y; ++i.y) {
      for (i.x = 0; i.x < grid.size.x; ++i.x) {
        Seen& s = seen[rendered.labels[static_cast<std::size_t>(grid.offset(i))]];
        const Point3 p = grid.to_world(i);
        s.count += 1;
        s.hu += rendered.ct.at(i);
        s.centre = {s.centre.x + p.x, s.centre.y + p.y, s.centre.z + p.z};
      }
    }
  }
  for (Seen& s : seen) {
    if (s.count == 0) continue;
    s.hu /= s.count;
    s.centre = {s.centre.x / s.count, s.centre.y / s.count, s.centre.z / s.count};
  }
  return seen;
}

const Seen& of(const std::array<Seen, kOrgans>& seen, Organ organ) {
  return seen[static_cast<std::size_t>(organ)];
}

TEST(Render, EveryOrganIsThereWithPlausibleHounsfieldUnits) {
  for (std::uint64_t i = 0; i < 6; ++i) {
    const auto seen = survey(render(Body(7, i, 0.5), 4));
    for (int o = 0; o < kOrgans; ++o) {
      const Organ organ = static_cast<Organ>(o);
      const OrganFacts& fact = facts(organ);
      EXPECT_GE(of(seen, organ).count, 15) << fact.name << " of body " << i;
      EXPECT_GE(of(seen, organ).hu, fact.low_hu) << fact.name << " of body " << i;
      EXPECT_LE(of(seen, organ).hu, fact.high_hu) << fact.name << " of body " << i;
    }
  }
}

TEST(Render, LeftIsPositiveXAndFrontIsNegativeY) {
  for (std::uint64_t i = 0; i < 3; ++i) {
    const auto seen = survey(render(Body(7, i, 1), 5));
    const Point3 spine = of(seen, Organ::Vertebra).centre;
    EXPECT_GT(of(seen, Organ::Heart).centre.x, spine.x + 5);
    EXPECT_GT(of(seen, Organ::Spleen).centre.x, spine.x + 60);
    EXPECT_GT(of(seen, Organ::Stomach).centre.x, spine.x + 10);
    EXPECT_GT(of(seen, Organ::Aorta).centre.x, spine.x);
    EXPECT_LT(of(seen, Organ::Liver).centre.x, spine.x - 30);
    EXPECT_LT(of(seen, Organ::Gallbladder).centre.x, spine.x - 20);
    EXPECT_GT(of(seen, Organ::KidneyLeft).centre.x, of(seen, Organ::KidneyRight).centre.x + 60);
    EXPECT_GT(of(seen, Organ::KidneyLeft).centre.z, of(seen, Organ::KidneyRight).centre.z);
    EXPECT_GT(of(seen, Organ::LungLeft).centre.x, of(seen, Organ::LungRight).centre.x + 80);
    EXPECT_LT(of(seen, Organ::Sternum).centre.y, spine.y - 60);
    EXPECT_GT(of(seen, Organ::Table).centre.y, spine.y + 40);
    EXPECT_GT(of(seen, Organ::Heart).centre.z, of(seen, Organ::Bladder).centre.z + 200);
  }
}

TEST(Render, SameBodyTwiceIsIdentical) {
  const Rendered a = render(Body(9, 2, 0.5), 6), b = render(Body(9, 2, 0.5), 6),
                 c = render(Body(9, 3, 0.5), 6);
  EXPECT_EQ(a.ct.hu, b.ct.hu);
  EXPECT_EQ(a.labels, b.labels);
  EXPECT_EQ(a.ct.grid, b.ct.grid);
  EXPECT_NE(a.ct.hu, c.ct.hu);
}

TEST(Render, VoxelsShowTheTemplateUnderTheInverseMap) {
  const Body body(9, 1, 1);
  const Rendered rendered = render(body, 6);
  const Grid& grid = rendered.ct.grid;
  int compared = 0, wrong = 0;
  for (std::int64_t k = 0; k < grid.voxels(); k += 37) {
    const Index3 i{k % grid.size.x, (k / grid.size.x) % grid.size.y,
                   k / (grid.size.x * grid.size.y)};
    const auto label = static_cast<Organ>(rendered.labels[static_cast<std::size_t>(k)]);
    if (label == Organ::Table) continue;  // fixed to the scanner
    const Point3 t = body.to_template(grid.to_world(i));
    const Organ organ =
        template_body()
            .at({static_cast<float>(t.x), static_cast<float>(t.y), static_cast<float>(t.z)})
            .organ;
    ++compared;
    wrong += organ != label;
  }
  EXPECT_GT(compared, 5000);
  EXPECT_LE(wrong, compared / 1000);  // single precision at a surface
}

TEST(Landmarks, ALandmarkLiesInTheSameOrganInEveryBody) {
  const auto landmarks = draw_landmarks(3, 400);
  std::set<Organ> organs;
  for (std::uint64_t b = 0; b < 3; ++b) {
    const Body body(3, b, 0.5);
    const Rendered rendered = render(body, 3);
    const auto places = place_landmarks(body, landmarks);
    int seen = 0, agree = 0;
    for (std::size_t i = 0; i < landmarks.size(); ++i) {
      if (!places[i]) continue;
      organs.insert(landmarks[i].organ);
      const Grid& grid = rendered.ct.grid;
      ++seen;
      agree += rendered.labels[static_cast<std::size_t>(grid.offset(grid.clamped(
                   grid.nearest(*places[i]))))] == static_cast<std::uint8_t>(landmarks[i].organ);
    }
    EXPECT_GT(seen, 330);
    EXPECT_GT(agree, 0.88 * seen);  // the rest lies within half a voxel of a surface
  }
  EXPECT_GT(organs.size(), 15u);
}

TEST(Landmarks, OutsideTheImageThereIsNone) {
  const Body body(3, 0, 0.5);
  const std::vector<Landmark> far{{{0, 0, 900}, Organ::Air}, {{0, 0, 250}, Organ::Bowel}};
  const auto places = place_landmarks(body, far);
  EXPECT_FALSE(places[0]);
  EXPECT_TRUE(places[1]);
}

}  // namespace
}  // namespace homolog::phantom
