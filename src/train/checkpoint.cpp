#include "train/checkpoint.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/step_folders.h"
#include "build_info.h"
#include "model/weights/weights_file.h"

namespace homolog::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kKind = "homolog checkpoint";

[[noreturn]] void refuse(const fs::path& folder, const std::string& reason,
                         const std::string& remedy = "") {
  throw Error(
      Fault::Data, "checkpoint " + folder.string() + ": " + reason,
      remedy.empty()
          ? "use an older checkpoint, or --resume auto, which looks for the newest whole one"
          : remedy);
}

double number_or_infinity(const json& j, const char* key) {
  return j.at(key).is_number() ? j.at(key).get<double>() : std::numeric_limits<double>::infinity();
}

json to_json(const TrainState& s) {
  const auto number = [](double v) { return std::isfinite(v) ? json(v) : json(nullptr); };
  return {{"kind", kKind},
          {"version", kCheckpointVersion},
          {"written", utc_timestamp()},
          {"writer", std::string(HOMOLOG_VERSION) + " " + HOMOLOG_COMMIT},
          {"step", s.step},
          {"steps", s.steps},
          {"cursor", {{"epoch", s.cursor.epoch}, {"position", s.cursor.position}}},
          {"next_ids", s.next_ids},
          {"skipped_in_a_row", s.skipped_in_a_row},
          {"best_validation", number(s.best_validation)},
          {"last_validation", number(s.last_validation)},
          {"best_step", s.best_step},
          {"seed", s.seed},
          {"world", s.world},
          {"global_batch", s.global_batch},
          {"config", s.config},
          {"config_digest", hex64(xxh3_64(s.config))},
          {"identity", s.identity},
          {"exported_prefix", s.exported_prefix},
          {"exported", s.exported},
          {"monai",
           {{"network", s.monai.network}, {"arguments", s.monai.arguments}, {"own", s.monai.own}}}};
}

TrainState from_json(const json& j) {
  TrainState s;
  s.step = j.at("step");
  s.steps = j.at("steps");
  s.cursor = {j.at("cursor").at("epoch"), j.at("cursor").at("position")};
  s.next_ids = j.at("next_ids").get<std::vector<std::uint64_t>>();
  s.skipped_in_a_row = j.at("skipped_in_a_row");
  s.best_validation = number_or_infinity(j, "best_validation");
  s.last_validation = number_or_infinity(j, "last_validation");
  s.best_step = j.value("best_step", s.best_step);  // 0.1.0 wrote none
  s.seed = j.at("seed");
  s.world = j.at("world");
  s.global_batch = j.at("global_batch");
  s.config = j.at("config");
  s.identity = j.at("identity").get<std::map<std::string, std::string>>();
  s.exported_prefix = j.at("exported_prefix");
  s.exported = j.at("exported").get<std::vector<std::string>>();
  if (j.contains("monai")) {  // 0.1.0 wrote none
    const json& m = j.at("monai");
    s.monai = {m.at("network"), m.at("arguments"), m.at("own")};
  }
  return s;
}

json manifest_of(const fs::path& folder) {
  std::ifstream in(folder / "manifest.json", std::ios::binary);
  if (!in) refuse(folder, "manifest.json is missing");
  const json j = json::parse(in, nullptr, false);
  if (!j.is_object() || j.value("kind", "") != kKind)
    refuse(folder, "manifest.json is not a checkpoint's manifest");
  if (j.value("version", 0) != kCheckpointVersion) {
    refuse(folder,
           "it is of version " + std::to_string(j.value("version", 0)) +
               ", this program reads version " + std::to_string(kCheckpointVersion),
           "use the release that wrote it");
  }
  return j;
}

template <class F>
auto parse(const fs::path& folder, F&& read) {
  try {
    return read();
  } catch (const json::exception& e) {
    refuse(folder, std::string("manifest.json is damaged (") + e.what() + ")");
  }
}

}  // namespace

void declare(Options& o, CheckpointPlan& p) {
  o.add("checkpoint.every_steps", p.every_steps, "steps between checkpoints; 0: by time alone",
        {.min = 0});
  o.add("checkpoint.every_s", p.every_s, "time between checkpoints; 0: by steps alone",
        {.min = 0, .unit = "s"});
  o.add("checkpoint.keep", p.keep, "newest checkpoints kept; the best is kept beside them",
        {.min = 1});
  o.add("checkpoint.margin_s", p.margin_s, "stop this long before the SLURM job's end",
        {.min = 0, .unit = "s"});
  o.add("checkpoint.synchronous", p.synchronous, "wait for the disk before the next step");
}

std::string state_text(const TrainState& state) { return to_json(state).dump(); }
TrainState state_from_text(const std::string& text) { return from_json(json::parse(text)); }

fs::path checkpoint_name(std::int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%08lld", static_cast<long long>(step));
  return name;
}

std::int64_t write_checkpoint(const fs::path& folder, const TrainState& state,
                              const TensorFiles& files) {
  fs::create_directories(folder.parent_path());
  PendingPath pending(folder);
  if (!fs::create_directory(pending.temporary()))
    throw Error(Fault::Environment, pending.temporary().string() + " exists already", "remove it");
  json manifest = to_json(state);
  std::int64_t bytes = 0;
  for (const auto& [stem, tensors] : files) {
    const fs::path file = pending.temporary() / (stem + ".safetensors");
    model::write_weights(
        file,
        {tensors, {{"format", "pt"}, {"homolog", stem}, {"step", std::to_string(state.step)}}});
    const auto size = static_cast<std::int64_t>(fs::file_size(file));
    bytes += size;
    manifest["files"][file.filename().string()] = {{"bytes", size},
                                                   {"xxh3", hex64(xxh3_64_file(file))}};
  }
  write_file_atomically(pending.temporary() / "manifest.json", manifest.dump(1) + "\n");
  // The same step again: the old one goes under a name that no reader takes for a checkpoint.
  const fs::path doomed = fs::exists(folder) ? temporary_beside(folder) : fs::path();
  if (!doomed.empty()) fs::rename(folder, doomed);
  pending.publish();
  if (!doomed.empty()) fs::remove_all(doomed);
  return bytes;
}

TrainState read_manifest(const fs::path& folder) {
  return parse(folder, [&] { return from_json(manifest_of(folder)); });
}

TrainState verify_checkpoint(const fs::path& folder, const std::string& stem) {
  return parse(folder, [&] {
    const json manifest = manifest_of(folder);
    const json& files = manifest.at("files");
    const std::string alone = stem.empty() ? "" : stem + ".safetensors";
    if (!alone.empty() && !files.contains(alone) && fs::exists(folder / alone))
      refuse(folder, alone + " is not in its manifest");
    for (const auto& [name, facts] : files.items()) {
      if (!alone.empty() && name != alone) continue;
      const fs::path file = folder / name;
      std::error_code missing;
      const auto size = fs::file_size(file, missing);
      if (missing) refuse(folder, name + " is missing");
      if (size != facts.at("bytes").get<std::uintmax_t>()) {
        refuse(folder, name + " has " + std::to_string(size) + " bytes, its manifest says " +
                           facts.at("bytes").dump());
      }
      if (hex64(xxh3_64_file(file)) != facts.at("xxh3").get<std::string>())
        refuse(folder, name + " does not match its hash");
    }
    return from_json(manifest);
  });
}

std::map<std::string, torch::Tensor> read_tensors(const fs::path& folder, const std::string& stem) {
  const fs::path file = folder / (stem + ".safetensors");
  if (!fs::exists(file)) return {};
  return model::read_weights(file).tensors;
}

std::vector<fs::path> list_checkpoints(const fs::path& checkpoints) {
  std::vector<fs::path> found;
  for (const StepFolder& folder : step_folders(checkpoints)) found.push_back(folder.path);
  return found;
}

std::optional<Found> newest_checkpoint(const fs::path& checkpoints,
                                       std::vector<std::string>& refused, const std::string& stem) {
  auto folders = list_checkpoints(checkpoints);
  std::reverse(folders.begin(), folders.end());
  for (const auto& folder : folders) {
    try {
      return Found{folder, verify_checkpoint(folder, stem)};
    } catch (const Error& e) {
      if (e.fault() != Fault::Data) throw;
      refused.push_back(e.summary());
    }
  }
  return std::nullopt;
}

}  // namespace homolog::train
