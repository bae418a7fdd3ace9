#include "monitoring/run_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/ini.h"
#include "base/step_folders.h"

namespace homolog::monitoring {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
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

// Of "2026-11-23T13:30:44.123Z"; 0 for any other text.
double unix_of(const std::string& utc) {
  std::tm parts{};
  const char* rest = ::strptime(utc.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  return rest ? static_cast<double>(::timegm(&parts)) + std::atof(rest) : 0;
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
  return flat_settings(text_of(run / "config.ini"));
}

std::vector<CheckpointFolder> list_checkpoints(const fs::path& run) {
  std::vector<CheckpointFolder> found;
  for (const StepFolder& entry : step_folders(run / "checkpoints")) {
    struct stat status {};
    if (!entry.complete || ::stat((entry.path / "manifest.json").c_str(), &status) != 0) continue;
    CheckpointFolder folder{entry.path.filename().string(), entry.step,
                            static_cast<double>(status.st_mtime), 0,
                            fs::exists(entry.path / "target.safetensors")};
    std::error_code gone;  // a checkpoint may be removed while we look
    for (const auto& file : fs::recursive_directory_iterator(entry.path, gone)) {
      if (file.is_regular_file(gone))
        folder.bytes += static_cast<std::uint64_t>(file.file_size(gone));
    }
    found.push_back(std::move(folder));
  }
  return found;
}

std::vector<WorkerEnd> read_ends(const fs::path& run) {
  std::vector<WorkerEnd> ends;
  const double started = unix_of(read_identity(run).started);
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(run / "exit", code)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("rank-") || !name.ends_with(".json")) continue;
    const json j = json::parse(text_of(entry.path()), nullptr, false);
    try {
      WorkerEnd end;
      j.at("rank").get_to(end.rank);
      j.at("ended").get_to(end.ended);
      j.at("code").get_to(end.code);
      j.at("signal").get_to(end.signal);
      j.at("told_to").get_to(end.told_to);
      j.at("ended_unix").get_to(end.ended_unix);
      j.at("last_line").get_to(end.last_line);
      // The launcher alone removes them: one from before is not of a run resumed without it.
      if (!end.ended || end.ended_unix >= started) ends.push_back(std::move(end));
    } catch (const json::exception&) {  // a torn file on a network file system is no record
    }
  }
  std::sort(ends.begin(), ends.end(), [](const auto& a, const auto& b) { return a.rank < b.rank; });
  return ends;
}

std::int64_t planned_steps(const fs::path& run) {
  const auto settings = read_settings(run);
  const auto steps = settings.find("schedule.steps");
  if (steps != settings.end() && std::atoll(steps->second.c_str()) > 0)
    return std::atoll(steps->second.c_str());
  std::int64_t planned = -1;  // counted in epochs: the events of rank 0 name the steps
  std::ifstream events(run / "log-0.jsonl");
  for (std::string line; std::getline(events, line);) {
    if (line.find("\"training\"") == std::string::npos) continue;  // most lines: not worth parsing
    const json event = json::parse(line, nullptr, false);
    if (event.is_object() && event.value("event", json()) == "training" &&
        event.contains("steps") && event["steps"].is_number()) {
      planned = event["steps"].get<std::int64_t>();
    }
  }
  return planned;
}

double last_sign(const fs::path& run) {
  struct stat status {};
  return ::stat((run / "metrics.jsonl").c_str(), &status) == 0
             ? static_cast<double>(status.st_mtime)
             : 0;
}

}  // namespace homolog::monitoring
