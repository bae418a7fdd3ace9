#include "sharding/landmarks.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/counter_rng.h"
#include "base/error.h"

namespace homolog::landmarks {
namespace {

bool inside(const Grid& grid, const Point3& world) { return grid.contains(grid.nearest(world)); }

struct MmBox {
  Point3 low, high;
};

MmBox body_box_mm(const Volume& v) {
  const Box box = body_box(v);
  return {v.grid.to_world(box.low), v.grid.to_world(box.high)};
}

// The same relative place in the other body's box.
Point3 through_boxes(const Point3& p, const MmBox& from, const MmBox& to) {
  const auto map = [](double v, double a, double b, double c, double d) {
    return b == a ? c : c + (v - a) / (b - a) * (d - c);
  };
  return {map(p.x, from.low.x, from.high.x, to.low.x, to.high.x),
          map(p.y, from.low.y, from.high.y, to.low.y, to.high.y),
          map(p.z, from.low.z, from.high.z, to.low.z, to.high.z)};
}

struct Distances {
  std::vector<double> sam, box, similarity;
  Comparison compared() {
    Comparison c{score_of(sam), score_of(box), 0};
    if (!similarity.empty()) {
      std::nth_element(similarity.begin(),
                       similarity.begin() + static_cast<std::ptrdiff_t>(similarity.size() / 2),
                       similarity.end());
      c.median_similarity = similarity[similarity.size() / 2];
    }
    return c;
  }
};

struct Side {
  const Volume& volume;
  const match::Embedding& embedding;
  const std::vector<std::optional<Point3>>& points;
};

// Points that both sides show, at most plan.points of them, drawn.
std::vector<std::size_t> common_points(const Side& query, const Side& key, std::int64_t most,
                                       CounterRng rng) {
  std::vector<std::size_t> common;
  for (const std::int64_t i : rng.permutation(static_cast<std::int64_t>(query.points.size()))) {
    const auto k = static_cast<std::size_t>(i);
    if (static_cast<std::int64_t>(common.size()) == most) break;
    if (k >= key.points.size() || !query.points[k] || !key.points[k]) continue;
    if (inside(query.volume.grid, *query.points[k]) && inside(key.volume.grid, *key.points[k]))
      common.push_back(k);
  }
  return common;
}

void compare(const Side& query, const Side& key, const Plan& plan, std::uint64_t pair,
             Distances& out) {
  const auto chosen =
      common_points(query, key, plan.points, CounterRng(plan.seed, "landmarks.points", pair));
  std::vector<Point3> voxels;
  for (const std::size_t k : chosen) voxels.push_back(query.volume.grid.to_index(*query.points[k]));
  const auto found = match::match_points(query.embedding, key.embedding, voxels, plan.mode);
  const MmBox from = body_box_mm(query.volume), to = body_box_mm(key.volume);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const Point3& truth = *key.points[chosen[i]];
    out.sam.push_back(distance(key.volume.grid.to_world(found[i].index), truth));
    out.box.push_back(distance(through_boxes(*query.points[chosen[i]], from, to), truth));
    out.similarity.push_back(found[i].score);
  }
}

// A slab of the key, its place drawn.
Volume drawn_cut(const Volume& v, double height_mm, CounterRng rng) {
  const auto layers =
      std::clamp<std::int64_t>(std::llround(height_mm / v.grid.spacing.z), 1, v.grid.size.z);
  const Box body = body_box(v);
  const std::int64_t low = std::min(body.low.z, v.grid.size.z - layers);
  const std::int64_t high = std::clamp(body.high.z + 1 - layers, low, v.grid.size.z - layers);
  return cut_z(
      v, low + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(high - low + 1))),
      layers);
}

}  // namespace

Truth read_truth(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in)
    throw Error(Fault::Data, "cannot read " + file.string(),
                "give the landmarks.json that homolog phantom wrote");
  const auto refuse = [&](const std::string& where, const std::string& why) {
    throw Error(Fault::Data, file.string() + where + " is no landmark file: " + why,
                "give the landmarks.json that homolog phantom wrote");
  };
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  try {
    const nlohmann::json j = nlohmann::json::parse(text);
    if (j.at("version") != 1)
      throw Error(Fault::Data, file.string() + " is of version " + j.at("version").dump(),
                  "this program reads version 1");
    Truth truth;
    if (j.contains("content"))
      truth.content = j.at("content").get<std::map<std::string, std::string>>();
    for (const auto& p : j.at("points")) truth.organs.push_back(p.value("organ", ""));
    for (const auto& [name, points] : j.at("bodies").items()) {
      auto& list = truth.bodies[name];
      for (const auto& p : points) {
        if (p.is_null()) {
          list.emplace_back(std::nullopt);
        } else {
          list.emplace_back(Point3{p.at(0), p.at(1), p.at(2)});
        }
      }
      if (list.size() != truth.organs.size())
        throw Error(Fault::Data,
                    file.string() + ": " + name + " has another number of points than the list",
                    "make it again");
    }
    return truth;
  } catch (const nlohmann::json::parse_error& fault) {
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(fault.byte, text.size()));
    refuse(":" + std::to_string(1 + std::count(text.begin(), end, '\n')), "not JSON");
  } catch (const nlohmann::json::exception&) {
    refuse("", "a key is missing, or holds something else");
  }
  return {};
}

Score score_of(std::vector<double> d) {
  Score s;
  s.points = static_cast<std::int64_t>(d.size());
  if (d.empty()) return s;
  std::sort(d.begin(), d.end());
  const double n = static_cast<double>(d.size());
  s.median = 0.5 * (d[(d.size() - 1) / 2] + d[d.size() / 2]);
  s.p90 = d[static_cast<std::size_t>(0.9 * (n - 1))];
  s.below_10 =
      static_cast<double>(std::count_if(d.begin(), d.end(), [](double v) { return v < 10; })) / n;
  s.above_30 =
      static_cast<double>(std::count_if(d.begin(), d.end(), [](double v) { return v > 30; })) / n;
  return s;
}

Volume cut_z(const Volume& v, std::int64_t first, std::int64_t layers) {
  Volume cut;
  cut.id = v.id;
  cut.grid = v.grid;
  cut.grid.size.z = layers;
  cut.grid.origin = v.grid.to_world(Index3{0, 0, first});
  const auto layer = static_cast<std::ptrdiff_t>(v.grid.size.x * v.grid.size.y);
  cut.hu.assign(v.hu.begin() + first * layer, v.hu.begin() + (first + layers) * layer);
  return cut;
}

Result evaluate(const std::vector<Body>& bodies, match::Embedder& embedder, const Plan& plan,
                const std::function<void()>& step) {
  const auto n = static_cast<std::int64_t>(bodies.size());
  if (n < 2)
    throw Error(Fault::Usage, "landmarks need two bodies, there is " + std::to_string(n),
                "name more with --last or a larger catalogue");
  std::map<std::int64_t, match::Embedding> embeddings;
  const auto embedded = [&](std::int64_t i) -> const match::Embedding& {
    const auto found = embeddings.find(i);
    return found != embeddings.end()
               ? found->second
               : embeddings.emplace(i, embedder.embed(bodies[static_cast<std::size_t>(i)].volume))
                     .first->second;
  };
  Distances whole, cut;
  Result result;
  for (const std::int64_t drawn :
       CounterRng(plan.seed, "landmarks.pairs", 0).permutation(n * (n - 1))) {
    if (result.pairs == plan.pairs) break;
    const std::int64_t q = drawn / (n - 1), k = drawn % (n - 1) + (drawn % (n - 1) >= q ? 1 : 0);
    const Body &query = bodies[static_cast<std::size_t>(q)],
               &key = bodies[static_cast<std::size_t>(k)];
    const Side from{query.volume, embedded(q), query.points};
    const auto pair = static_cast<std::uint64_t>(result.pairs++);
    compare(from, {key.volume, embedded(k), key.points}, plan, pair, whole);
    if (plan.cut_z_mm > 0) {
      const Volume slab =
          drawn_cut(key.volume, plan.cut_z_mm, CounterRng(plan.seed, "landmarks.cut", pair));
      const match::Embedding e = embedder.embed(slab);
      compare(from, {slab, e, key.points}, plan, pair, cut);
    }
    step();
  }
  result.whole = whole.compared();
  result.cut = cut.compared();
  return result;
}

}  // namespace homolog::landmarks
