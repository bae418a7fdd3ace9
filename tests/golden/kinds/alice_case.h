// What a whole iteration of Alice starts from: its views, masks and objective.
#pragma once

#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <set>
#include <string>

#include "code_recipe.h"
#include "golden_fixture.h"

namespace homolog::golden {

// 1 in the columns that a sample keeps, of a 4 x 4 grid over the first two axes.
inline torch::Tensor visible(const backbone::Size3& crop, const std::set<std::int64_t>& kept) {
  torch::Tensor out = torch::zeros({1, 1, crop[0], crop[1], crop[2]});
  const std::int64_t x = crop[0] / 4, y = crop[1] / 4;
  for (const std::int64_t cell : kept)
    out.slice(2, cell / 4 * x, (cell / 4 + 1) * x)
        .slice(3, cell % 4 * y, (cell % 4 + 1) * y)
        .fill_(1);
  return out;
}

inline objective::Views make_views(const backbone::Size3& crop) {
  objective::Views views;
  for (const auto& [name, stream] : {std::pair("query", 0), std::pair("key", 1)}) {
    const torch::Tensor image =
        input(static_cast<std::uint64_t>(stream), {1, 1, crop[0], crop[1], crop[2]}, 0.5, 0.5);
    views.tensors[std::string(name) + "_B1XYZ"] = image;
    views.tensors["target_" + std::string(name) + "_B1XYZ"] = image;  // data.augment_teacher=false
  }
  views.tensors["query_visible_B1XYZ"] = visible(crop, {0, 5, 10, 15});
  views.tensors["key_visible_B1XYZ"] = visible(crop, {3, 6, 9, 12});
  views.ids = {0};
  return views;
}

// The objective by the reference code's recipe, with the fixture's numbers.
inline std::unique_ptr<objective::Objective> make_alice(const Fixture& fixture,
                                                        const backbone::Size3& crop) {
  const nlohmann::json c = fixture.config();
  const auto set = [](const std::string& key, const nlohmann::json& value) {
    return key + "=" + value.dump();
  };
  const std::string alice = "objective.alice.";
  return code_recipe({set(alice + "lambda_inter", c.at("lambdas").at(0)),
                      set(alice + "lambda_intra", c.at("lambdas").at(1)),
                      set(alice + "lambda_reconstruction", c.at("lambdas").at(2)),
                      set(alice + "target_temperature_start", c.at("temps").at(0)),
                      set(alice + "target_temperature", c.at("temps").at(1)),
                      set(alice + "temperature_epochs", c.at("warmup_temp_epochs")),
                      set(alice + "outputs", c.at("out_dim"))})
      .make(crop);
}

}  // namespace homolog::golden
