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

// "" when the key is missing, or of another kind.
std::string text_under(const json& j, const char* key) {
  const auto found = j.find(key);
  if (found == j.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  return found->is_number() ? found->dump() : "";
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
  const auto settings = read_settings(run);
  if (const auto store = settings.find("data.store"); store != settings.end())
    id.store = last_component(store->second);
  const json manifest = json::parse(text_of(run / "manifest.json"), nullptr, false);
  if (!manifest.is_object()) return id;
  id.store_hash = text_under(manifest, "store_hash");
  id.version = text_under(manifest, "version");
  const std::string commit = text_under(manifest, "commit");
  if (!commit.empty()) id.version += (id.version.empty() ? "" : " ") + commit;
  id.started = text_under(manifest, "started");
  if (const std::string world = text_under(manifest, "world"); !world.empty())
    id.world = std::atoll(world.c_str());
  if (const std::string step = text_under(manifest, "resumed_from_step"); !step.empty())
    id.resumed_from_step = std::atoll(step.c_str());
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
    if (line[0] == '[')
      section = line.substr(1, line.find(']') - 1) + ".";
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
    const long long step =
        name.starts_with("step-") ? std::strtoll(name.c_str() + 5, &end, 10) : -1;
    struct stat status {};
    if (step < 0 || *end != '\0' || ::stat((entry.path() / "manifest.json").c_str(), &status) != 0)
      continue;
    CheckpointFolder folder{name, step, static_cast<double>(status.st_mtime), 0};
    std::error_code gone;  // a checkpoint may be removed while we look
    for (const auto& file : fs::recursive_directory_iterator(entry.path(), gone)) {
      if (file.is_regular_file(gone))
        folder.bytes += static_cast<std::uint64_t>(file.file_size(gone));
    }
    found.push_back(std::move(folder));
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.step < b.step; });
  return found;
}

}  // namespace homolog::monitoring
