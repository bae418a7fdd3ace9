// Networks of the catalogue for tests: shrunk by what their options are called, with each of their
// switches, on a crop that suits them, and what they are asked to look at. A new network needs no
// line here as far as its options have the usual names.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ini.h"
#include "base/options.h"
#include "model/build_backbone.h"
#include "model/masking.h"

namespace homolog::backbone::tiny {

struct Declared {
  Settings defaults;
  std::string help;
};

inline Declared declared(const Options& options) {
  return {flat_settings(options.dump()), options.help()};
}

inline Declared declared(const Entry& entry) {
  Options options(entry.name, "", "");
  const auto factory = entry.factory();
  factory->declare(options);
  return declared(options);
}

// "feature" of "model.unetr.feature".
inline std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

// Widths and depths.
inline Settings small(const Entry& entry) {
  static const Settings sizes = {
      {"embed", "8"},          {"feature", "12"},       {"hidden", "24"},      {"mlp", "48"},
      {"layers", "2"},         {"depth", "10"},         {"window", "3"},       {"heads", "2"},
      {"decoder_width", "24"}, {"decoder_layers", "1"}, {"decoder_heads", "2"}};
  Settings out;
  for (const auto& [key, text] : declared(entry).defaults) {
    const auto size = sizes.find(last_part(key));
    if (size == sizes.end()) continue;
    const bool per_stage = text.find(',') != std::string::npos;
    out[key] = size->first == "heads" && per_stage ? "1,2,4,8" : size->second;
  }
  return out;
}

// What else a switch can be: the other truth value, the other ones of its choices.
inline std::vector<std::string> other_values(const Declared& from, const std::string& key) {
  const std::string& now = from.defaults.at(key);
  if (now == "true" || now == "false") return {now == "true" ? "false" : "true"};
  const std::size_t begin = from.help.find("--" + key + " "), end = from.help.find("\n  --", begin);
  const std::string said = from.help.substr(begin, end - begin), mark = "(one of: ";
  std::vector<std::string> out;
  std::size_t at = said.find(mark);
  if (at == std::string::npos) return out;
  for (at += mark.size(); at < said.size();) {
    const std::size_t stop = said.find_first_of(",)", at);
    const std::string value = said.substr(at, stop - at);
    if (value != now) out.push_back(value);
    if (said[stop] == ')') break;
    at = stop + 2;
  }
  return out;
}

// A small network with one of its switches set, or none.
struct Variant {
  std::string name;  // "resnet", "resnet, norm=instance"
  const Entry* entry;
  Settings options;
};

inline std::vector<Variant> variants(const Entry& entry) {
  const Variant plain{entry.name, &entry, small(entry)};
  const Declared from = declared(entry);
  std::vector<Variant> out{plain};
  for (const auto& item : from.defaults) {
    for (const std::string& value : other_values(from, item.first)) {
      Variant changed = plain;
      changed.options[item.first] = value;
      changed.name += ", " + last_part(item.first) + "=" + value;
      if (value == "group") {  // eight groups of channels
        for (auto& [key, text] : changed.options) text = last_part(key) == "feature" ? "24" : text;
      }
      out.push_back(changed);
    }
  }
  return out;
}

// The first of `crops` that the network takes.
inline Size3 crop_for(const Entry& entry, const Settings& options,
                      const std::vector<Size3>& crops) {
  for (const Size3& crop : crops) {
    try {
      build(entry, options, crop);
      return crop;
    } catch (const Error&) {  // it says why; the next one may suit
    }
  }
  throw std::logic_error(std::string(entry.name) + " takes none of the crops that tests have");
}

inline std::shared_ptr<Backbone> make(const Variant& variant, const Size3& crop) {
  torch::manual_seed(5);
  return build(*variant.entry, variant.options, crop).network;
}

inline torch::Tensor image(std::int64_t rows, const Size3& crop) {
  return torch::rand({rows, 1, crop[0], crop[1], crop[2]});
}

// Rows that see `seen` of their cells each, every row others.
inline View masked(std::int64_t rows, const Size3& crop, const Size3& cell, double seen) {
  const model::MaskPlan plan{.ratio = 1 - seen, .shape = "cube", .cell = cell};
  std::vector<std::uint64_t> keys(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = i + 1;
  return {.image_B1XYZ = image(rows, crop),
          .visible_B1XYZ = model::visible_B1XYZ(plan, crop, 5, "test", keys, torch::kCPU),
          .visible_share = model::visible_share(plan, crop)};
}

inline View row_of(const View& view, std::int64_t row) {
  View out = view;
  out.image_B1XYZ = view.image_B1XYZ.narrow(0, row, 1);
  if (view.visible_B1XYZ.defined()) out.visible_B1XYZ = view.visible_B1XYZ.narrow(0, row, 1);
  return out;
}

inline std::int64_t count_parameters(const torch::nn::Module& module,
                                     const std::string& without = "") {
  std::int64_t n = 0;
  for (const auto& item : module.named_parameters()) {
    if (without.empty() || !item.key().starts_with(without)) n += item.value().numel();
  }
  return n;
}

// What an Error of Fault::Usage says in full, or "accepted".
template <class Action>
std::string refusal(Action&& action) {
  try {
    action();
  } catch (const Error& e) {
    if (e.fault() != Fault::Usage) throw;
    return e.summary() + " " + e.remedy();
  }
  return "accepted";
}

}  // namespace homolog::backbone::tiny
