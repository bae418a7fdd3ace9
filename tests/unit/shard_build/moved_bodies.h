// Studies whose homologous points are known.
#pragma once

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "base/hash.h"
#include "sharding/studies.h"

namespace homolog::shard {

// Study i is one body, i HU brighter and moved by i voxels in x. Points match exactly, with one
// score. Up to 12 studies.
class MovedBodies : public Studies {
 public:
  explicit MovedBodies(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      auto v = std::make_shared<Volume>();
      v->id = hex64(i + 1);
      v->grid.size = {48, 44, 40};
      v->grid.spacing = {1, 1, 2};
      v->hu.assign(static_cast<std::size_t>(v->grid.voxels()), kAirHu);
      for (std::int64_t z = 4; z < 36; ++z) {
        for (std::int64_t y = 8; y < 40; ++y) {
          for (std::int64_t x = 12; x < 36; ++x)
            v->at({x + static_cast<std::int64_t>(i), y, z}) = static_cast<std::int16_t>(
                (7 * x * x + 5 * x * y * y + 3 * y * z * z + x * y * z) % 200 +
                static_cast<std::int64_t>(i));
        }
      }
      volumes_.push_back(std::move(v));
    }
  }
  std::shared_ptr<const Volume> volume(std::size_t i) override { return volumes_[i]; }
  std::vector<match::Match> match(std::size_t from, std::size_t to,
                                  const std::vector<Point3>& points) override {
    std::this_thread::sleep_for(delay);
    std::vector<match::Match> out;
    for (const Point3& p : points) {
      const double x = p.x + static_cast<double>(to) - static_cast<double>(from);
      const Index3 voxel =
          volumes_[to]->grid.clamped({static_cast<std::int64_t>(x), static_cast<std::int64_t>(p.y),
                                      static_cast<std::int64_t>(p.z)});
      out.push_back({{x, p.y, p.z}, voxel, anchor_score});
    }
    return out;
  }
  std::vector<double> similarity(std::size_t, const std::vector<Point3>& a, std::size_t,
                                 const std::vector<Point3>&) override {
    return std::vector<double>(a.size(), other_score);
  }
  double anchor_score = 0.9, other_score = 0.8;
  std::chrono::milliseconds delay{0};  // of a match

 private:
  std::vector<std::shared_ptr<Volume>> volumes_;
};

}  // namespace homolog::shard
