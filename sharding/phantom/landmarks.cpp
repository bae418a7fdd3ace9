// True landmarks: template points, carried into each body by the exact map.
#include "base/counter_rng.h"
#include "sharding/phantom/phantom.h"
#include "sharding/phantom/template_body.h"

namespace homolog::phantom {

std::vector<Landmark> draw_landmarks(std::uint64_t seed, std::int64_t count) {
  CounterRng rng(seed, "phantom.landmarks", 0);
  std::vector<Landmark> landmarks;
  while (static_cast<std::int64_t>(landmarks.size()) < count) {
    const Point3 p{rng.uniform(-190, 190), rng.uniform(-130, 130),
                   rng.uniform(kTemplateBottom, kTemplateTop)};
    const Organ organ =
        template_body()
            .at({static_cast<float>(p.x), static_cast<float>(p.y), static_cast<float>(p.z)})
            .organ;
    if (organ != Organ::Air && organ != Organ::Skin) landmarks.push_back({p, organ});
  }
  return landmarks;
}

std::vector<std::optional<Point3>> place_landmarks(const Body& body,
                                                   const std::vector<Landmark>& landmarks) {
  const Point3 &low = body.parameters().low, &high = body.parameters().high;
  std::vector<std::optional<Point3>> places;
  for (const Landmark& landmark : landmarks) {
    const Point3 p = body.from_template(landmark.at);
    const bool seen = p.x >= low.x && p.y >= low.y && p.z >= low.z && p.x <= high.x &&
                      p.y <= high.y && p.z <= high.z;
    places.push_back(seen ? std::optional(p) : std::nullopt);
  }
  return places;
}

}  // namespace homolog::phantom
