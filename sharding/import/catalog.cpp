// Catalogue lines <-> entries. The format is written down in docs/formats/catalog.md.
#include "sharding/import/catalog.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace homolog::import {
namespace {

// One text in the file, so that a line reads at a glance; several reasons are divided by "; ".
constexpr std::string_view kBetween = "; ";

std::string joined(const std::vector<std::string>& reasons) {
  std::string text;
  for (const std::string& reason : reasons) text += (text.empty() ? "" : kBetween.data()) + reason;
  return text;
}

std::vector<std::string> split_reasons(std::string text) {
  std::vector<std::string> reasons;
  for (std::size_t at; (at = text.find(kBetween)) != std::string::npos; text.erase(0, at + 2)) {
    reasons.push_back(text.substr(0, at));
  }
  if (!text.empty()) reasons.push_back(text);
  return reasons;
}

using nlohmann::json;

json point(const Point3& p) { return json::array({p.x, p.y, p.z}); }
Point3 point(const json& j) {
  return {j.at(0).get<double>(), j.at(1).get<double>(), j.at(2).get<double>()};
}

Verdict verdict_of(const std::string& name) {
  for (const Verdict verdict : {Verdict::Accept, Verdict::Warn, Verdict::Reject}) {
    if (name == verdict_name(verdict)) return verdict;
  }
  throw std::invalid_argument("unknown verdict '" + name + "'");
}

void check_version(const std::string& where, int version) {
  if (version == kCatalogVersion) return;
  const bool older = version < kCatalogVersion;
  throw Error(
      Fault::Data,
      where + ": made by " + (older ? "an older" : "a newer") + " homolog (catalogue version " +
          std::to_string(version) + ", this one reads " + std::to_string(kCatalogVersion) + ")",
      older ? "run homolog catalog again" : "use that homolog, or run homolog catalog again");
}

std::string why(const std::exception& problem) {
  if (dynamic_cast<const json::parse_error*>(&problem) != nullptr) return "not JSON";
  if (dynamic_cast<const json::exception*>(&problem) != nullptr)
    return "a key is missing, or holds something else";
  return problem.what();
}

void require_spacing(const CatalogEntry& e) {
  const Point3& s = e.grid.spacing;
  for (const auto& [axis, mm] : {std::pair{"x", s.x}, std::pair{"y", s.y}, std::pair{"z", s.z}}) {
    if (mm > 0) continue;
    throw std::invalid_argument("study " + e.id + " has a spacing of " + json(mm).dump() +
                                " mm along " + axis + ", which must be above 0");
  }
}

CatalogEntry from_json(const json& j) {
  CatalogEntry e;
  e.verdict = verdict_of(j.at("verdict").get<std::string>());
  e.reasons = split_reasons(j.at("reason").get<std::string>());
  const auto files = j.at("files").get<std::vector<std::string>>();
  e.files = std::vector<std::filesystem::path>(files.begin(), files.end());
  e.format = j.at("format").get<std::string>();
  if (e.verdict == Verdict::Reject) return e;  // the rest may be unknown
  e.id = j.at("id").get<std::string>();
  e.subject = j.at("subject").get<std::string>();
  const json& grid = j.at("grid");
  const json& size = grid.at("size");
  e.grid.size = {size.at(0).get<std::int64_t>(), size.at(1).get<std::int64_t>(),
                 size.at(2).get<std::int64_t>()};
  e.grid.spacing = point(grid.at("spacing_mm"));
  e.grid.origin = point(grid.at("origin_mm"));
  e.grid.direction = grid.at("direction").get<std::array<double, 9>>();
  e.original_orientation = j.at("original_orientation").get<std::string>();
  e.original_direction = j.at("original_direction").get<std::array<double, 9>>();
  e.hu_min = j.at("hu_range").at(0).get<int>();
  e.hu_max = j.at("hu_range").at(1).get<int>();
  e.body_extent_mm = point(j.at("body_extent_mm"));
  e.content_hash = j.at("content_hash").get<std::string>();
  e.hounsfield = j.at("hounsfield").get<bool>();
  if (e.files.empty() || e.grid.size.x < 1 || e.grid.size.y < 1 || e.grid.size.z < 1) {
    throw std::invalid_argument("an accepted CT needs files and a grid");
  }
  require_spacing(e);
  return e;
}

}  // namespace

const char* verdict_name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::Accept:
      return "accept";
    case Verdict::Warn:
      return "warn";
    default:
      return "reject";
  }
}

std::string to_json_line(const CatalogEntry& e) {
  nlohmann::ordered_json j;
  j["version"] = kCatalogVersion;
  j["verdict"] = verdict_name(e.verdict);
  j["reason"] = joined(e.reasons);
  j["id"] = e.id;
  j["subject"] = e.subject;
  j["format"] = e.format;
  json files = json::array();
  for (const auto& file : e.files.paths()) files.push_back(file.string());
  j["files"] = files;
  if (e.grid.voxels() > 0) {
    j["grid"] = {{"size", {e.grid.size.x, e.grid.size.y, e.grid.size.z}},
                 {"spacing_mm", point(e.grid.spacing)},
                 {"origin_mm", point(e.grid.origin)},
                 {"direction", e.grid.direction}};
    j["original_orientation"] = e.original_orientation;
    j["original_direction"] = e.original_direction;
    j["hu_range"] = {e.hu_min, e.hu_max};
    j["body_extent_mm"] = point(e.body_extent_mm);
    j["content_hash"] = e.content_hash;
    j["hounsfield"] = e.hounsfield;
  }
  // A file name need not be UTF-8; such bytes are replaced rather than losing the line.
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<CatalogEntry> read_catalog(const std::filesystem::path& catalog) {
  std::ifstream in(catalog);
  if (!in || std::filesystem::is_directory(catalog)) {
    throw Error(Fault::Data, "cannot read catalogue " + catalog.string(),
                "make one: homolog catalog PATHS --out " + catalog.string());
  }
  std::vector<CatalogEntry> entries;
  std::string line;
  int number = 0, rejected = 0;
  while (std::getline(in, line)) {
    ++number;
    if (line.empty()) continue;
    const std::string where = catalog.string() + ":" + std::to_string(number);
    try {
      const json j = json::parse(line);
      static_cast<void>(j.at("verdict"));  // other files have versions too
      check_version(where, j.at("version").get<int>());
      CatalogEntry entry = from_json(j);
      entry.verdict == Verdict::Reject ? void(++rejected) : entries.push_back(std::move(entry));
    } catch (const Error&) {
      throw;
    } catch (const std::exception& problem) {
      throw Error(Fault::Data, where + " is no catalogue line: " + why(problem),
                  "give a file that homolog catalog wrote, or run homolog catalog again");
    }
  }
  if (entries.empty()) {
    throw Error(Fault::Data,
                "no usable CT in " + catalog.string() + " (" + std::to_string(rejected) +
                    " refused inputs)",
                rejected > 0 ? "its lines say why each was refused"
                             : "it is empty: run homolog catalog on a folder that holds scans");
  }
  return entries;
}

}  // namespace homolog::import
