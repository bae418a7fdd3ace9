#include "model/weights/import_network.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "build_info.h"
#include "model/crop_text.h"
#include "model/weights/stated_options.h"

namespace homolog::backbone {
namespace {

using nlohmann::json;
constexpr Size3 kAnyCrop{64, 64, 64};  // suits every network that takes any crop

std::string metadata(const model::ForeignWeights& from, const std::string& key) {
  const auto found = from.weights.metadata.find(key);
  return found == from.weights.metadata.end() ? "" : found->second;
}

// A whole network first; then one that stands beside heads, or a ViT within a UNETR.
constexpr const char* kPrefixes[] = {"", "backbone.", "vit."};

struct Choice {
  const Entry* entry = nullptr;
  Recognised told{};
};

// The networks whose names these are, those that fit first, of the first prefix that has any.
std::vector<Choice> candidates(const NamedTensors& tensors, const std::vector<const Entry*>& of) {
  for (const char* prefix : kPrefixes) {
    std::vector<std::string> others;
    const NamedTensors under = names_under(tensors, prefix, others);
    std::vector<Choice> found;
    for (const Entry* entry : of)
      if (auto told = entry->factory()->recognise(under)) found.push_back({entry, *told});
    std::stable_sort(found.begin(), found.end(), [](const Choice& a, const Choice& b) {
      return a.told.misfits.empty() && !b.told.misfits.empty();
    });
    if (!found.empty()) return found;
  }
  return {};
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
              "--backbone NAME lists what differs from that network; --part KEY takes another "
              "state dict of a checkpoint");
}

[[noreturn]] void refuse_misfit(const Choice& choice, const std::string& file) {
  std::string list;
  std::set<std::string> remedies;
  for (const Misfit& misfit : choice.told.misfits) {
    list += "\n    " + misfit.what;
    if (!misfit.remedy.empty()) remedies.insert(misfit.remedy);
  }
  std::string all;
  for (const std::string& remedy : remedies) all += (all.empty() ? "" : "; ") + remedy;
  if (all.empty()) all = "take the file again, in full, from where it was published";
  throw Error(
      Fault::Data,
      file + " looks like weights of " + choice.entry->name + ", which they cannot be here:" + list,
      all);
}

// Name and facts of the network.
Choice choose(const model::ForeignWeights& from, const ImportPlan& plan, const std::string& file) {
  std::vector<const Entry*> of = catalog();
  if (!plan.backbone.empty()) of = {&find(plan.backbone)};
  const std::vector<Choice> found = candidates(from.weights.tensors, of);
  if (found.empty() && !plan.backbone.empty()) return {of.front(), {}};  // what differs is listed
  if (found.empty()) refuse_unknown(from, file);
  if (!found.front().told.misfits.empty()) refuse_misfit(found.front(), file);
  return found.front();
}

// Networks are built before they are compared: not one that a small file only claims.
void check_size(const model::ForeignWeights& from, const Choice& choice, const std::string& file) {
  constexpr double kMost = 4, kCountable = 1e18;
  double numbers = 0;
  for (const auto& [name, tensor] : from.weights.tensors)
    numbers += static_cast<double>(tensor.numel());
  if (choice.told.least_numbers <= kMost * numbers) return;
  throw Error(Fault::Data,
              file + ": its shapes tell of a " + choice.entry->name + " of " +
                  std::to_string(std::llround(std::min(choice.told.least_numbers, kCountable))) +
                  " numbers or more, " + std::to_string(std::llround(numbers)) +
                  " are there: most of it is missing",
              "take the file again, in full, from where it was published");
}

// What the file states counts where it agrees with the position table, or costs little without one.
bool is_credible(const Size3& stated, const Recognised& told) {
  constexpr std::int64_t kLongest = 256;
  double tokens = 1;
  for (const std::int64_t voxels : stated) {
    if (told.tokens == 0 && voxels > kLongest) return false;
    if (told.token_side > 0) tokens *= static_cast<double>(voxels / told.token_side);
  }
  return told.tokens == 0 || tokens == static_cast<double>(told.tokens);
}

Size3 choose_crop(const model::ForeignWeights& from, const ImportPlan& plan, const Recognised& told,
                  std::vector<std::string>& notes) {
  Size3 crop{};
  if (plan.crop[0] > 0) return plan.crop;
  for (const char* key : {"crop", "trained.crop"})
    if (parse_crop(metadata(from, key), crop) && is_credible(crop, told)) return crop;
  if (told.crop[0] > 0)
    notes.push_back("the position table tells its number of tokens alone, " +
                    std::to_string(told.tokens) + ": taken for a cube, a crop of " +
                    crop_text(told.crop) + "; else give --crop X,Y,Z");
  return told.crop;  // 0 for a table of no cube, too: the comparison then asks for it
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

// Not an option of an earlier version, and not the size of a pre-training decoder, which its
// weights alone tell.
bool is_of_use(const std::string& key, const std::vector<std::string>& known) {
  return std::find(known.begin(), known.end(), key) != known.end() &&
         key.find(".decoder_") == std::string::npos;
}

// The command line's options, and of the file's those that shapes do not tell.
Settings given_options(const model::ForeignWeights& from, const ImportPlan& plan,
                       const Choice& choice) {
  Settings given;
  const std::vector<std::string> known = keys_of(*choice.entry);
  for (const auto& [key, value] : stated_options(from, *choice.entry)) {
    const bool left_open = !choice.told.options.contains(key) && is_of_use(key, known);
    if (left_open || is_guessed(choice.told, key)) given[key] = value;
  }
  for (const auto& [key, value] : plan.options) given[key] = value;
  return given;
}

std::string lines(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : "\n") + word;
  return text;
}

}  // namespace

std::string network_named(const NamedTensors& tensors) {
  const std::vector<Choice> found = candidates(tensors, catalog());
  return found.empty() ? "" : found.front().entry->name;
}

ImportedNetwork import_network(const model::ForeignWeights& from, const ImportPlan& plan,
                               const std::string& file_name) {
  const Choice choice = choose(from, plan, file_name);
  check_size(from, choice, file_name);
  const Settings given = given_options(from, plan, choice);
  Settings options = choice.told.options;
  for (const auto& [key, value] : given) options[key] = value;
  ImportedNetwork out;
  out.backbone = choice.entry->name;
  out.origin = file_name;
  out.container = from.container;
  std::vector<std::string> assumed;
  out.crop = choose_crop(from, plan, choice.told, assumed);
  const Size3 crop = out.crop[0] > 0 ? out.crop : kAnyCrop;
  const Built built = build_told(*choice.entry, options, crop, plan, file_name);
  out.options = built.options;
  out.monai = built.network->monai();
  out.weights = fit(*built.network, from, file_name, {.crop = crop, .resample = false});
  out.weights.notes.insert(out.weights.notes.end(), assumed.begin(), assumed.end());
  tell_guesses(choice.told, given, !stated_options(from, *choice.entry).empty(), out.weights.notes);
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
