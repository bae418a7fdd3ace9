// One point of a scan sought in another: the question as a user asks it, and its answer.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/options.h"
#include "sharding/match/matcher.h"
#include "volume/volume.h"

namespace homolog::shard {

struct PointQuestion {
  std::filesystem::path sam, catalog;
  std::string query, key, mode = "refined";  // a file, a DICOM folder, or an id of the catalogue
  std::vector<double> point;                 // of the query: voxel index, or LPS mm
  bool world = false;                        // the point is in LPS mm
};
void declare(Options& options, PointQuestion& question);

struct PointAnswer {
  Volume query, key;
  Point3 point;  // voxel index in the query
  match::Match match;
};

// Throws Fault::Usage: no three numbers, or outside the query; Fault::Data: wrong weights, no scan,
// several scans.
PointAnswer find_point(const PointQuestion& question);
nlohmann::json to_json(const PointAnswer& answer);

}  // namespace homolog::shard
