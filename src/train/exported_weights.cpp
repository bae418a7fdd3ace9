#include "train/exported_weights.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
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

// The names of a layout.
class Layout {
 public:
  Layout(std::string layout, const TrainState& state)
      : layout_(std::move(layout)), prefix_(state.exported_prefix), form_(state.monai) {
    if (for_monai() && form_.network.empty())
      throw Error(Fault::Usage, why_not_monai(state),
                  "use --layout reference, the network's own names");
    if (layout_ == "monai-unetr") form_.arguments = unetr_arguments(form_);
  }

  // In the exported file; nothing: it is left out.
  std::optional<std::string> name(const std::string& name) const {
    const bool inside = name.starts_with(prefix_);
    if (layout_ == "native" || (layout_ == "reference" && !inside)) return name;
    if (!inside) return std::nullopt;
    const std::string own = name.substr(prefix_.size());
    if (!for_monai()) return own;
    if (!form_.own.empty() && own.starts_with(form_.own)) return std::nullopt;
    return layout_ == "monai-unetr" ? "vit." + own : own;
  }
  // The encoder of a larger network: never the whole of what the names are of.
  bool is_part() const { return layout_ == "monai-unetr"; }
  // So that Python can build the network from the file alone.
  void describe(model::WeightsFile& file) const {
    if (form_.network.empty()) return;
    file.metadata["monai.network"] = layout_ == "monai-unetr" ? "UNETR" : form_.network;
    file.metadata["monai.arguments"] = form_.arguments;
  }

 private:
  static std::string why_not_monai(const TrainState& state) {
    const auto backbone = state.identity.find("backbone");
    if (backbone == state.identity.end()) return "MONAI has no such network";
    if (backbone->second != "resnet") return "MONAI has no " + backbone->second;
    return "MONAI's ResNet has batch norm alone, this one has another (model.resnet.norm)";
  }
  bool for_monai() const { return layout_.starts_with("monai"); }

  // MONAI's UNETR holds a ViT of 12 layers and patches of 16 without a class token.
  static std::string unetr_arguments(const backbone::MonaiForm& vit) {
    nlohmann::json a = nlohmann::json::parse(vit.arguments, nullptr, false);
    if (vit.network != "ViT" || !a.is_object() || a.value("num_layers", 12) != 12 ||
        a.value("classification", false) || a["patch_size"] != nlohmann::json({16, 16, 16}) ||
        a.value("pos_embed_type", "learnable") != "learnable") {
      throw Error(Fault::Usage,
                  "this network is not the ViT of MONAI's UNETR: 12 layers, patches of 16, no "
                  "class token, trained positions",
                  "use --layout monai");
    }
    for (const char* key : {"patch_size", "num_layers", "classification", "pos_embed_type"})
      a.erase(key);
    a["out_channels"] = 1;
    return a.dump();
  }

  std::string layout_, prefix_;
  backbone::MonaiForm form_;
};

void say_contents(const TrainState& state, bool whole, model::WeightsFile& file) {
  file.metadata["contents"] = whole ? "whole network" : "encoder";
  for (const auto& [key, value] : state.identity)
    file.metadata["trained." + key] = without_folders(value);
  const auto objective = state.identity.find("objective");
  if (objective != state.identity.end() && objective->second == "sam")
    file.metadata["hint"] = "homolog sam and homolog shard take the run's sam.safetensors instead";
}

std::string file_of(const ExportPlan& plan) { return plan.which == "target" ? "target" : "model"; }

// Advice on damage that is about resuming helps nobody here.
TrainState verified(const fs::path& folder, const std::string& stem) try {
  return verify_checkpoint(folder, stem);
} catch (const Error& e) {
  if (e.remedy().find("--resume") == std::string::npos) throw;
  throw Error(e.fault(), e.summary(),
              "give the folder of another checkpoint, RUN/checkpoints/step-..., or copy this one "
              "again, in full");
}

}  // namespace

fs::path find_checkpoint(const ExportPlan& plan) {
  const fs::path& source = plan.source;
  if (fs::exists(source / "manifest.json") && !fs::exists(source / "checkpoints")) return source;
  if (!fs::exists(source / "checkpoints")) {
    throw Error(Fault::Data, source.string() + " is neither a run nor a checkpoint",
                "give a run folder, or RUN/checkpoints/step-...");
  }
  if (plan.best) {
    if (!fs::exists(source / "checkpoints" / "best")) {
      throw Error(Fault::Data, source.string() + " has no best checkpoint yet",
                  "leave --best out, or wait for a validation");
    }
    return source / "checkpoints" / "best";
  }
  std::vector<std::string> refused;
  const auto found = newest_checkpoint(source / "checkpoints", refused, file_of(plan));
  if (found) return found->folder;
  std::string text = source.string() + " holds no whole checkpoint";
  for (const auto& reason : refused) text += "\n    " + reason;
  throw Error(Fault::Data, text,
              refused.empty()
                  ? "train until one is written (checkpoint.every_s, checkpoint.every_steps)"
                  : "copy one of them again, in full, from where the run was trained");
}

model::WeightsFile exported_weights(const ExportPlan& plan) {
  const fs::path folder = find_checkpoint(plan);
  const TrainState state = verified(folder, file_of(plan));
  const auto tensors = read_tensors(folder, file_of(plan));
  if (tensors.empty()) {
    throw Error(Fault::Data, "checkpoint " + folder.string() + " has no " + plan.which + " network",
                "use --which online");
  }
  const std::set<std::string> wanted(state.exported.begin(), state.exported.end());
  const Layout layout(plan.layout, state);
  model::WeightsFile file;
  for (const auto& [name, tensor] : tensors) {
    if (!plan.full && !is_wanted(name, wanted)) continue;
    if (const auto exported = layout.name(name)) file.tensors.emplace(*exported, tensor);
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
  const auto whole = std::count_if(tensors.begin(), tensors.end(), [&](const auto& item) {
    return layout.name(item.first).has_value();
  });
  const bool all = file.tensors.size() == static_cast<std::size_t>(whole);
  say_contents(state, all && !layout.is_part(), file);
  layout.describe(file);
  return file;
}

}  // namespace homolog::train
