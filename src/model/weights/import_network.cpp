#include "model/weights/import_network.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/ini.h"
#include "build_info.h"

namespace homolog::backbone {
namespace {

using nlohmann::json;
constexpr Size3 kAnyCrop{64, 64, 64};  // suits every network that takes any crop

std::string metadata(const model::ForeignWeights& from, const std::string& key) {
  const auto found = from.weights.metadata.find(key);
  return found == from.weights.metadata.end() ? "" : found->second;
}

// The options that homolog wrote beside the weights; shapes alone leave some open (heads).
Settings stated_options(const model::ForeignWeights& from, const std::string& backbone) {
  Settings all = flat_settings(metadata(from, "config")), own;
  if (const std::string text = metadata(from, "options"); !text.empty()) {
    const json options = json::parse(text, nullptr, false);
    if (options.is_object()) {
      for (const auto& [key, value] : options.items())
        if (value.is_string()) all[key] = value.get<std::string>();
    }
  }
  for (const auto& [key, value] : all)
    if (key.starts_with("model." + backbone + ".")) own[key] = value;
  return own;
}

// A whole network first; then one that stands beside heads, or a ViT within a UNETR.
constexpr const char* kPrefixes[] = {"", "backbone.", "vit."};

std::optional<Recognised> recognise(const Entry& entry, const NamedTensors& tensors,
                                    const std::string& prefix) {
  std::vector<std::string> others;
  return entry.factory()->recognise(names_under(tensors, prefix, others));
}

[[noreturn]] void refuse_unknown(const model::ForeignWeights& from, const std::string& file) {
  std::string networks, names;
  for (const Entry* entry : catalog()) networks += std::string(" ") + entry->name;
  int told = 0;
  for (const auto& [name, tensor] : from.weights.tensors) {
    if (++told > 12) break;
    names += "\n    " + name + " " + c10::str(tensor.sizes());
  }
  throw Error(Fault::Data,
              file + " holds " + std::to_string(from.weights.tensors.size()) +
                  " tensors, whose names are none of the networks'" + networks + ":" + names,
              "--backbone NAME lists what differs from that network");
}

// Name and facts of the network.
std::pair<const Entry*, Recognised> choose(const model::ForeignWeights& from,
                                           const ImportPlan& plan, const std::string& file) {
  if (!plan.backbone.empty()) {
    const Entry& entry = find(plan.backbone);
    for (const char* prefix : kPrefixes) {
      if (const auto found = recognise(entry, from.weights.tensors, prefix))
        return {&entry, *found};
    }
    return {&entry, {}};  // what differs will be listed
  }
  for (const char* prefix : kPrefixes) {
    for (const Entry* entry : catalog()) {
      const auto found = recognise(*entry, from.weights.tensors, prefix);
      if (found) return {entry, *found};
    }
  }
  refuse_unknown(from, file);
}

Size3 choose_crop(const model::ForeignWeights& from, const ImportPlan& plan,
                  const Recognised& told) {
  Size3 crop{};
  if (plan.crop[0] > 0) return plan.crop;
  if (parse_crop(metadata(from, "crop"), crop)) return crop;
  if (parse_crop(metadata(from, "trained.crop"), crop)) return crop;
  return told.crop;
}

Built build_told(const Entry& entry, const Settings& options, const Size3& crop,
                 const ImportPlan& plan, const std::string& file) try {
  return build(entry, options, crop);
} catch (const Error& e) {
  if (!plan.options.empty() || plan.crop[0] > 0) throw;
  throw Error(Fault::Data,
              file + " tells of a " + entry.name + " that cannot be built: " + e.summary(),
              "give what shapes cannot tell: --crop X,Y,Z, --set model." + std::string(entry.name) +
                  ".KEY=VALUE");
}

std::string lines(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : "\n") + word;
  return text;
}

}  // namespace

ImportedNetwork import_network(const model::ForeignWeights& from, const ImportPlan& plan,
                               const std::string& file_name) {
  const auto [entry, told] = choose(from, plan, file_name);
  Settings options = told.options;
  Settings given;
  for (const auto& [key, value] : stated_options(from, entry->name)) {
    // What shapes tell is not the file's to say otherwise: heads are the one guess among it.
    if (!told.options.contains(key) || key.ends_with("heads")) given[key] = value;
  }
  for (const auto& [key, value] : plan.options) given[key] = value;
  for (const auto& [key, value] : given) options[key] = value;
  ImportedNetwork out;
  out.backbone = entry->name;
  out.origin = file_name;
  out.container = from.container;
  out.crop = choose_crop(from, plan, told);
  const Size3 crop = out.crop[0] > 0 ? out.crop : kAnyCrop;
  const Built built = build_told(*entry, options, crop, plan, file_name);
  out.options = built.options;
  out.monai = built.network->monai();
  out.weights = fit(*built.network, from, file_name, {.crop = crop, .resample = false});
  // Swin UNETR's and nnFormer's bias tables tell them, the plain transformers' shapes do not.
  const std::string heads = "model." + out.backbone + ".heads";
  if (told.options.contains(heads) && !given.contains(heads) &&
      told.options.at(heads).find(',') == std::string::npos) {
    out.weights.notes.push_back("shapes do not tell the attention heads: taken as " +
                                told.options.at(heads) + "; else give --set " + heads + "=N");
  }
  return out;
}

model::WeightsFile native_file(const ImportedNetwork& network) {
  model::WeightsFile file;
  file.tensors = network.weights.tensors;
  file.metadata = {{"format", "pt"},
                   {"homolog", std::string(HOMOLOG_VERSION) + " " + HOMOLOG_COMMIT},
                   {"layout", "native"},
                   {"contents", network.weights.whole ? "whole network" : "encoder"},
                   {"backbone", network.backbone},
                   {"options", json(network.options).dump()},
                   {"source.file", network.origin},
                   {"source.container", network.container},
                   {"source.layout", network.monai.network.empty() ? "reference" : "monai"},
                   {"source.left_out", lines(network.weights.left_out)},
                   {"source.absent", lines(network.weights.absent)},
                   {"source.notes", lines(network.weights.notes)},
                   {"weights_xxh3", hex64(model::weights_hash(file.tensors))}};
  if (network.crop[0] > 0) file.metadata["crop"] = crop_text(network.crop);
  if (!network.monai.network.empty()) {
    file.metadata["monai.network"] = network.monai.network;
    file.metadata["monai.arguments"] = network.monai.arguments;
  }
  return file;
}

}  // namespace homolog::backbone
