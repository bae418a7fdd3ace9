#include "sharding/landmark_bodies.h"

#include "base/error.h"
#include "sharding/import/load.h"

namespace homolog::landmarks {
namespace {

nlohmann::json to_json(const Score& s) {
  return {{"points", s.points},
          {"median_mm", s.median},
          {"p90_mm", s.p90},
          {"below_10mm", s.below_10},
          {"above_30mm", s.above_30}};
}

std::string stem(const std::filesystem::path& file) {  // phantom-0000.nii.gz -> phantom-0000
  const std::string name = file.filename().string();
  return name.substr(0, name.find('.'));
}

}  // namespace

std::vector<Body> read_bodies(const std::filesystem::path& catalog, const Truth& truth,
                              std::int64_t last) {
  std::vector<std::pair<std::string, import::CatalogEntry>> known;
  for (const auto& entry : import::read_catalog(catalog)) {
    const std::string name = stem(entry.files.at(0));
    if (!truth.bodies.contains(name)) continue;
    const auto content = truth.content.find(name);
    if (content != truth.content.end() && content->second != entry.content_hash)
      throw Error(Fault::Data,
                  entry.files.front().string() + " is not the body that the landmarks tell of",
                  "give the landmarks.json of the same phantom set");
    known.emplace_back(name, entry);
  }
  if (known.size() < 2) {
    throw Error(Fault::Data,
                std::to_string(known.size()) + " volumes of the catalogue have landmarks",
                "give the catalogue of the images that the landmarks belong to");
  }
  if (last > 0 && static_cast<std::size_t>(last) < known.size())
    known.erase(known.begin(), known.end() - last);
  std::vector<Body> result;
  for (const auto& [name, entry] : known)
    result.push_back({name, import::load_volume(entry), truth.bodies.at(name)});
  return result;
}

nlohmann::json to_json(const Comparison& c) {
  return {
      {"sam", to_json(c.sam)}, {"box", to_json(c.box)}, {"median_similarity", c.median_similarity}};
}

}  // namespace homolog::landmarks
