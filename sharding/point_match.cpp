#include "sharding/point_match.h"

#include <cmath>

#include "base/error.h"
#include "sharding/import/load.h"
#include "sharding/import/survey.h"
#include "sharding/match/embedder.h"

namespace homolog::shard {
namespace {

// A file, a DICOM folder, or an id of the catalogue, which may be empty.
Volume scan(const std::string& name, const std::filesystem::path& catalog) {
  if (!catalog.empty()) {
    for (const auto& entry : import::read_catalog(catalog)) {
      if (entry.id == name) return import::load_volume(entry);
    }
  }
  if (!std::filesystem::exists(name)) {
    throw Error(Fault::Data, name + " is neither a file nor an id of the catalogue",
                "give a path, or --catalog and one of its ids");
  }
  const import::Survey found = import::survey({name}, "one scan", 1);
  std::vector<import::CatalogEntry> usable;
  for (const auto& e : found.entries) {
    if (e.verdict != import::Verdict::Reject) usable.push_back(e);
  }
  if (usable.size() != 1) {
    const std::string why =
        usable.empty() && !found.entries.empty() && !found.entries[0].reasons.empty()
            ? ": " + found.entries[0].reasons[0]
            : "";
    throw Error(Fault::Data, name + " holds " + std::to_string(usable.size()) + " usable CT" + why,
                "give a path with exactly one");
  }
  return import::load_volume(usable[0]);
}

nlohmann::json to_json(const Point3& p) { return {p.x, p.y, p.z}; }

}  // namespace

void declare(Options& o, PointQuestion& q) {
  o.add("sam", q.sam, "weights that `homolog sam train` wrote", {.required = true});
  o.add("catalog", q.catalog, "catalogue, where --query and --key are its ids");
  o.add("query", q.query, "scan with the point: a file, a DICOM folder, or an id of the catalogue",
        {.required = true});
  o.add("key", q.key, "scan in which to find it", {.required = true});
  o.add("point", q.point, "x,y,z: voxel index of the query in LPS order (see --mm)",
        {.required = true});
  o.add("mm", q.world, "the point is in LPS millimetres");
  o.add("mode", q.mode, match::kModeHelp, {.choices = {"exact", "refined", "image"}});
}

PointAnswer find_point(const PointQuestion& q) {
  if (q.point.size() != 3) throw Error(Fault::Usage, "--point needs three numbers", "write x,y,z");
  match::Embedder embedder(q.sam);  // first: wrong weights are told before scans are read
  PointAnswer a{
      scan(q.query, q.catalog), scan(q.key, q.catalog), {q.point[0], q.point[1], q.point[2]}, {}};
  const Grid& grid = a.query.grid;
  if (q.world) a.point = grid.to_index(a.point);
  if (!grid.contains({std::llround(a.point.x), std::llround(a.point.y), std::llround(a.point.z)})) {
    throw Error(Fault::Usage,
                "--point lies outside the query, which has " + std::to_string(grid.size.x) + "x" +
                    std::to_string(grid.size.y) + "x" + std::to_string(grid.size.z) + " voxels",
                "give a voxel inside, or --mm with LPS millimetres");
  }
  const auto mode = match::mode_named(q.mode);
  a.match =
      match::match_points(embedder.embed(a.query), embedder.embed(a.key), {a.point}, mode).front();
  return a;
}

nlohmann::json to_json(const PointAnswer& a) {
  return {{"query_index", to_json(a.point)},
          {"query_mm", to_json(a.query.grid.to_world(a.point))},
          {"key_index", to_json(a.match.index)},
          {"key_voxel", {a.match.voxel.x, a.match.voxel.y, a.match.voxel.z}},
          {"key_mm", to_json(a.key.grid.to_world(a.match.index))},
          {"score", a.match.score}};
}

}  // namespace homolog::shard
