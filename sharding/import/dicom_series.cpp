#include "sharding/import/dicom_series.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <map>
#include <set>

namespace homolog::import {
namespace fs = std::filesystem;
namespace {

using Header = std::vector<DicomSlice>;  // the frames of one file
using Group = std::vector<Header*>;

constexpr const char* kCtClass =
    "1.2.840.10008.5.1.4.1.1.2";  // and .1 (enhanced), .2 (legacy converted)

std::string geometry_of(const DicomSlice& s) {
  char text[256];
  const auto& o = s.orientation;
  std::snprintf(text, sizeof text, "%dx%d %.4f %.4f | %.2f %.2f %.2f %.2f %.2f %.2f", s.columns,
                s.rows, s.column_mm, s.row_mm, o[0] + 0.0, o[1] + 0.0, o[2] + 0.0, o[3] + 0.0,
                o[4] + 0.0, o[5] + 0.0);
  std::string result =
      s.has_place ? text : "no place " + std::to_string(s.columns) + "x" + std::to_string(s.rows);
  for (std::size_t at = 0; (at = result.find("-0.00", at)) != std::string::npos;)
    result.erase(at, 1);  // -0.00 is 0.00
  return result;
}

std::string orientation_of(const std::string& geometry) {
  return geometry.substr(std::min(geometry.find('|'), geometry.size()));
}

// Why a file's header alone rules a CT out; empty when it does not.
std::string refusal_of(const DicomSlice& s) {
  const bool ct_class =
      s.sop_class == kCtClass || s.sop_class.starts_with(std::string(kCtClass) + ".");
  if (!s.modality.empty() && s.modality != "CT") return "modality " + s.modality + ", not CT";
  if (s.modality.empty() && !ct_class) return "neither modality nor class say CT";
  if (!s.has_pixels) return "holds no image";
  if (s.samples != 1)
    return std::to_string(s.samples) + " samples per pixel (colour), a CT has one";
  if (s.image_type.find("LOCALIZER") != std::string::npos)
    return "a localizer, not a slice of a volume";
  return "";
}

// The same instance again (a copy under another name) adds nothing.
int drop_repeated_instances(Group& group) {
  std::set<std::string> seen;
  const auto repeated = [&](const Header* h) {
    return !h->front().instance.empty() && !seen.insert(h->front().instance).second;
  };
  return static_cast<int>(std::erase_if(group, repeated));
}

bool overlap(const Group& a, const Group& b) {
  std::set<std::string> instances;
  std::set<std::array<double, 3>> places;
  const auto place = [](const DicomSlice& s) {
    return std::array{s.position.x, s.position.y, s.position.z};
  };
  for (const Header* h : a) {
    instances.insert(h->front().instance);
    for (const DicomSlice& s : *h) places.insert(place(s));
  }
  return std::any_of(b.begin(), b.end(), [&](const Header* h) {
    return instances.count(h->front().instance) > 0 ||
           std::any_of(h->begin(), h->end(),
                       [&](const DicomSlice& s) { return places.count(place(s)) > 0; });
  });
}

std::vector<Group> merge_folders(std::map<fs::path, Group>& by_folder) {
  std::vector<Group> apart;
  Group all;
  bool copies = false;
  for (auto& [folder, group] : by_folder) {
    copies = copies || overlap(all, group);
    all.insert(all.end(), group.begin(), group.end());
    apart.push_back(group);
  }
  return copies ? apart : std::vector<Group>{all};
}

DicomSeries series_of(Group group, const std::string& identity) {
  DicomSeries series;
  series.identity = identity;
  if (const int repeated = drop_repeated_instances(group)) {
    series.warnings.push_back(std::to_string(repeated) + " repeated instances ignored");
  }
  const DicomSlice& any = group.front()->front();
  series.subject = any.subject;
  series.refusal = refusal_of(any);
  if (any.image_type.find("PERFUSION") != std::string::npos) {
    series.warnings.push_back("derived perfusion map (image type), not attenuation");
  }
  for (Header* h : group) {
    series.files.push_back(h->front().file);
    for (DicomSlice& s : *h)  // what grouping alone needed: a survey holds millions of slices
      s.series = s.instance = s.subject = s.sop_class = s.image_type = s.modality = std::string();
    std::move(h->begin(), h->end(), std::back_inserter(series.slices));
  }
  return series;
}

}  // namespace

std::vector<DicomSeries> group_series(std::vector<Header> headers) {
  // A multi-frame file is a volume of its own; so is a file of no named series.
  std::map<std::pair<std::string, std::string>, std::map<fs::path, Group>>
      groups;  // (series, geometry) -> folder
  for (Header& header : headers) {
    const DicomSlice& s = header.front();
    const bool alone = s.frames > 1 || s.series.empty();
    const std::string series =
        s.series + (alone ? "/" + s.instance + "/" + s.file.string() : "") + "/" + s.modality;
    groups[{series, geometry_of(s)}][s.file.parent_path()].push_back(&header);
  }
  std::map<std::pair<std::string, std::string>, std::map<std::string, std::size_t>>
      by_orientation;  // files of each geometry
  for (const auto& [key, folders] : groups) {
    for (const auto& [folder, group] : folders) {
      by_orientation[{key.first + "@" + folder.string(), orientation_of(key.second)}][key.second] +=
          group.size();
    }
  }
  std::vector<DicomSeries> result;
  for (auto& [key, folders] : groups) {
    for (Group& group : merge_folders(folders)) {
      const DicomSlice& first = group.front()->front();
      const std::string series_uid =
          first.series + (first.frames > 1 || first.series.empty() ? "/" + first.instance : "");
      const fs::path folder = first.file.parent_path();
      DicomSeries series = series_of(std::move(group), series_uid + "\n" + key.second);
      // A slice or two of another size belong to the same stack, and one of them is wrong.
      const auto& sizes =
          by_orientation[{key.first + "@" + folder.string(), orientation_of(key.second)}];
      const bool stray =
          std::any_of(sizes.begin(), sizes.end(), [](const auto& s) { return s.second < 3; });
      if (series.refusal.empty() && sizes.size() > 1 && stray)
        series.refusal = "slice size or spacing differs inside the series";
      result.push_back(std::move(series));
    }
  }
  return result;
}

}  // namespace homolog::import
