#include "train/exported_weights.h"

#include <set>
#include <sstream>

#include "base/error.h"
#include "base/hash.h"
#include "build_info.h"

namespace homolog::train {
namespace fs = std::filesystem;
namespace {

// The file is given away: of an absolute path, which may name a site or a patient's folder, only
// the last part stays.
std::string without_folders(const std::string& value) {
  if (!value.starts_with('/')) return value;
  const auto end = value.find_last_not_of('/');
  if (end == std::string::npos) return "";
  return value.substr(value.rfind('/', end) + 1, end - value.rfind('/', end));
}

std::string shareable(const std::string& config) {
  std::istringstream in(config);
  std::string text;
  for (std::string line; std::getline(in, line); text += line + "\n") {
    const auto value = line.find_first_not_of(" \t", line.find('=') + 1);
    if (line.find('=') != std::string::npos && value != std::string::npos)
      line = line.substr(0, value) + without_folders(line.substr(value));
  }
  return text;
}

// A tensor that is named, or a normalisation's running statistics, without which its parameters say
// nothing.
bool is_wanted(const std::string& name, const std::set<std::string>& wanted) {
  return wanted.contains(name) || wanted.contains(name.substr(0, name.rfind('.') + 1) + "weight");
}

void say_contents(const TrainState& state, bool whole, model::WeightsFile& file) {
  file.metadata["contents"] = whole ? "whole network" : "encoder";
  for (const auto& [key, value] : state.identity)
    file.metadata["trained." + key] = without_folders(value);
  const auto objective = state.identity.find("objective");
  if (objective != state.identity.end() && objective->second == "sam")
    file.metadata["hint"] = "homolog sam and homolog shard take the run's sam.safetensors instead";
}

}  // namespace

fs::path find_checkpoint(const fs::path& source, bool best) {
  if (fs::exists(source / "manifest.json") && !fs::exists(source / "checkpoints")) return source;
  if (!fs::exists(source / "checkpoints")) {
    throw Error(Fault::Data, source.string() + " is neither a run nor a checkpoint",
                "give a run folder, or RUN/checkpoints/step-...");
  }
  if (best) {
    if (!fs::exists(source / "checkpoints" / "best")) {
      throw Error(Fault::Data, source.string() + " has no best checkpoint yet",
                  "leave --best out, or wait for a validation");
    }
    return source / "checkpoints" / "best";
  }
  std::vector<std::string> refused;
  const auto found = newest_checkpoint(source / "checkpoints", refused);
  if (found) return found->folder;
  std::string text = source.string() + " holds no whole checkpoint";
  for (const auto& reason : refused) text += "\n    " + reason;
  throw Error(Fault::Data, text,
              "train until one is written (checkpoint.every_s, checkpoint.every_steps)");
}

model::WeightsFile exported_weights(const ExportPlan& plan) {
  const fs::path folder = find_checkpoint(plan.source, plan.best);
  const TrainState state = verify_checkpoint(folder);
  const auto tensors = read_tensors(folder, plan.which == "target" ? "target" : "model");
  if (tensors.empty()) {
    throw Error(Fault::Data, "checkpoint " + folder.string() + " has no " + plan.which + " network",
                "use --which online");
  }
  const std::set<std::string> wanted(state.exported.begin(), state.exported.end());
  const std::string& prefix = state.exported_prefix;
  model::WeightsFile file;
  for (const auto& [name, tensor] : tensors) {
    if (!plan.full && !is_wanted(name, wanted)) continue;
    const bool strip = plan.layout == "reference" && name.starts_with(prefix);
    file.tensors.emplace(strip ? name.substr(prefix.size()) : name, tensor);
  }
  if (file.tensors.empty())
    throw Error(Fault::Data, "checkpoint " + folder.string() + " has nothing to export",
                "use --full");
  file.metadata = {{"format", "pt"},
                   {"homolog", std::string(HOMOLOG_VERSION) + " " + HOMOLOG_COMMIT},
                   {"layout", plan.layout},
                   {"which", plan.which},
                   {"step", std::to_string(state.step)},
                   {"config", shareable(state.config)},
                   {"config_digest", hex64(xxh3_64(state.config))},
                   {"weights_xxh3", hex64(model::weights_hash(file.tensors))}};
  say_contents(state, file.tensors.size() == tensors.size(), file);
  return file;
}

}  // namespace homolog::train
