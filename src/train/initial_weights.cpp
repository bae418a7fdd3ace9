#include "train/initial_weights.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "model/weights/network_weights.h"
#include "model/weights/stated_options.h"
#include "model/weights/torch_file.h"

namespace homolog::train {
namespace {

// "a, b, c and 4 more": a Swin encoder alone lacks every convolution of its network.
std::string first_few(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 6;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i)
    text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

void tell(const backbone::NetworkWeights& weights, const std::string& file) {
  log::info("starting from weights",
            {{"file", file},
             {"tensors", weights.tensors.size()},
             {"absent", weights.absent.size() + static_cast<std::size_t>(weights.own_absent)},
             {"left_out", weights.left_out.size()}});
  for (const std::string& note : weights.notes) log::info("weights", {{"note", note}});
  if (!weights.absent.empty())
    log::info("not in the weights, stays as drawn", {{"names", first_few(weights.absent)}});
  for (const std::string& what : weights.resampled)
    log::warn("position table resampled to this crop", {{"table", what}});
}

}  // namespace

std::map<std::string, std::string> start_from_weights(objective::Objective& objective,
                                                      const WeightsPlan& plan) {
  const model::ForeignWeights from = model::read_foreign_weights(plan.file);
  const std::string origin = plan.file.string();
  bool told = false;
  objective.start_from([&](backbone::Backbone& network) {
    backbone::NetworkWeights weights = backbone::fit(network, from, origin, {.crop = plan.crop});
    backbone::require_stated_options(from, backbone::find(plan.backbone), plan.options, origin,
                                     weights);
    backbone::load(network, weights);
    if (!told) tell(weights, plan.file.filename().string());
    told = true;
  });
  return {{"weights", hex64(xxh3_64_file(plan.file))}};
}

}  // namespace homolog::train
