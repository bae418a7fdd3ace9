#include "monitoring/run_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/hash.h"

namespace homolog::monitoring {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The value under the first of these JSON pointers that is a string or a number.
std::string first_text(const json& j, std::initializer_list<const char*> pointers) {
  for (const char* pointer : pointers) {
    const json::json_pointer at(pointer);
    if (!j.contains(at)) continue;
    if (j.at(at).is_string()) return j.at(at).get<std::string>();
    if (j.at(at).is_number()) return j.at(at).dump();
  }
  return "";
}

std::string last_component(const std::string& path) {
  fs::path p(path);
  return (p.has_filename() ? p : p.parent_path()).filename().string();
}

}  // namespace

RunIdentity read_identity(const fs::path& run) {
  RunIdentity id;
  std::error_code code;
  const fs::path whole = fs::weakly_canonical(run, code);
  id.name = last_component((code ? run : whole).string());
  const std::string config = text_of(run / "config.ini");
  if (!config.empty()) id.config_hash = hex64(xxh3_64(config));
  const json manifest = json::parse(text_of(run / "manifest.json"), nullptr, false);
  if (!manifest.is_object()) return id;
  id.store_hash = first_text(manifest, {"/store_hash", "/store/hash", "/store/digest", "/hashes/store"});
  id.store = last_component(first_text(manifest, {"/store", "/store/path", "/data/store"}));
  id.version = first_text(manifest, {"/version", "/homolog_version", "/versions/homolog", "/build/version"});
  const std::string commit = first_text(manifest, {"/commit", "/versions/commit", "/build/commit"});
  if (!commit.empty()) id.version += (id.version.empty() ? "" : " ") + commit;
  id.started = first_text(manifest, {"/started", "/time", "/created"});
  const std::string world = first_text(manifest, {"/world", "/world_size"});
  if (!world.empty()) id.world = std::strtoll(world.c_str(), nullptr, 10);
  return id;
}

std::map<std::string, std::string> read_settings(const fs::path& run) {
  std::map<std::string, std::string> settings;
  std::ifstream in(run / "config.ini");
  std::string section;
  for (std::string line; std::getline(in, line);) {
    line = trimmed(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    const auto equals = line.find('=');
    if (line[0] == '[') section = line.substr(1, line.find(']') - 1) + ".";
    else if (equals != std::string::npos) {
      settings[section + trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
    }
  }
  return settings;
}

std::vector<CheckpointFolder> list_checkpoints(const fs::path& run) {
  std::vector<CheckpointFolder> found;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints", code)) {
    const std::string name = entry.path().filename().string();
    char* end = nullptr;
    const long long step = name.starts_with("step-") ? std::strtoll(name.c_str() + 5, &end, 10) : -1;
    struct stat status {};
    if (step < 0 || *end != '\0' || ::stat((entry.path() / "manifest.json").c_str(), &status) != 0) continue;
    CheckpointFolder folder{name, step, static_cast<double>(status.st_mtime), 0};
    std::error_code gone;  // a checkpoint may be removed while we look
    for (const auto& file : fs::recursive_directory_iterator(entry.path(), gone)) {
      if (file.is_regular_file(gone)) folder.bytes += static_cast<std::uint64_t>(file.file_size(gone));
    }
    found.push_back(std::move(folder));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return found;
}

}  // namespace homolog::monitoring
