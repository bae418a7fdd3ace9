// Alice with small networks on made-up pairs, for tests: options as a user gives them, views that
// are a function of the sample's id.
#pragma once

#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "objective/objective_entry.h"
#include "tests/unit/model/tiny_network.h"

namespace homolog::objective::tiny {

using Settings = std::vector<std::string>;  // "model.nnformer.embed=8"

// A small head and CASA.
inline Settings small_head() {
  return {"objective.alice.hidden=32",         "objective.alice.bottleneck=16",
          "objective.alice.outputs=24",        "objective.alice.casa_heads=2",
          "objective.alice.casa_head_width=8", "objective.alice.casa_hidden=32"};
}

// Any network's, as words.
inline Settings small_network(const backbone::Entry& entry) {
  Settings out;
  for (const auto& [key, value] : backbone::tiny::small(entry)) out.push_back(key + "=" + value);
  return out;
}

struct Parts {
  std::unique_ptr<backbone::Factory> backbone;
  std::unique_ptr<Factory> objective;
};

// Factories whose options are these; every setting must be known.
inline Parts parts_of(const std::string& backbone_name, const Settings& settings) {
  Settings words = {"tiny"};
  for (const std::string& s : settings) words.insert(words.end(), {"--set", s});
  std::vector<const char*> argv;
  for (const std::string& w : words) argv.push_back(w.c_str());
  Parts parts{backbone::find(backbone_name).factory(), find("alice").factory()};
  Options options("tiny", "", "");
  parts.backbone->declare(options);
  parts.objective->declare(options);
  options.parse(static_cast<int>(argv.size()), argv.data());
  return parts;
}

inline Settings joined(Settings a, const Settings& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// The smallest crop that suits the network, or `first` where it does.
inline backbone::Size3 crop_of(const backbone::Entry& entry,
                               const backbone::Size3& first = {32, 32, 32}) {
  return backbone::tiny::crop_for(entry, backbone::tiny::small(entry), {first, {64, 32, 32}});
}

// Small nnFormer, or any network, with further settings.
inline std::unique_ptr<Objective> make(const Settings& extra = {},
                                       const std::string& backbone_name = "nnformer",
                                       const backbone::Size3& crop = {32, 32, 32}) {
  const Settings all =
      joined(joined(small_head(), small_network(backbone::find(backbone_name))), extra);
  const Parts parts = parts_of(backbone_name, all);
  torch::manual_seed(5);
  return parts.objective->make(*parts.backbone, crop);
}

inline Views make_views(const std::vector<std::uint64_t>& ids,
                        const backbone::Size3& crop = {32, 32, 32}) {
  Views views;
  views.ids = ids;
  for (const char* name : {"query_B1XYZ", "key_B1XYZ", "target_query_B1XYZ", "target_key_B1XYZ"}) {
    std::vector<torch::Tensor> rows;
    for (const std::uint64_t id : ids) {
      auto generator = at::make_generator<at::CPUGeneratorImpl>(id * 10 + std::string(name).size());
      rows.push_back(torch::rand({1, 1, crop[0], crop[1], crop[2]}, generator));
    }
    views.tensors[name] = torch::cat(rows);
  }
  return views;
}

inline double term(const Loss& loss, const std::string& name) {
  for (const auto& t : loss.terms) {
    if (t.name == name) return t.value.item<double>();
  }
  throw std::out_of_range("no term " + name);
}

}  // namespace homolog::objective::tiny
