// The reference code's arrangement of Alice, read from the recipe that users are given
// (configs/alice_nnformer_code.ini), so that what the goldens hold is what that file does.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/backbone_entry.h"
#include "objective/objective_entry.h"

namespace homolog::golden {

struct CodeRecipe {
  std::unique_ptr<backbone::Factory> backbone = backbone::find("nnformer").factory();
  std::unique_ptr<objective::Factory> objective = objective::find("alice").factory();
  std::string options;  // resolved, INI

  std::unique_ptr<objective::Objective> make(const backbone::Size3& crop) const {
    return objective->make(*backbone, crop);
  }
};

// With further settings ("key=value") on top. The fixtures were made without dropout and stochastic
// depth, so those are off unless `random`. Sections of data, schedule and optimiser are not read.
inline CodeRecipe code_recipe(const std::vector<std::string>& further = {}, bool random = false) {
  CodeRecipe recipe;
  Options options("golden", "", "");
  std::string backbone = "nnformer", objective = "alice";
  options.add("model.backbone", backbone, "");
  options.add("objective.name", objective, "");
  recipe.backbone->declare(options);
  recipe.objective->declare(options);
  options.leave_to_others({"data", "optimizer", "schedule", "checkpoint"});
  std::vector<std::string> words = {
      "golden", "--config", std::string(HOMOLOG_SOURCE_DIR) + "/configs/alice_nnformer_code.ini"};
  if (!random) {
    words.insert(words.end(), {"--set", "model.nnformer.drop_path=0", "--set",
                               "objective.alice.casa_dropout=0"});
  }
  for (const auto& setting : further) words.insert(words.end(), {"--set", setting});
  std::vector<const char*> argv;
  for (const auto& word : words) argv.push_back(word.c_str());
  options.parse(static_cast<int>(argv.size()), argv.data());
  recipe.options = options.dump();
  return recipe;
}

}  // namespace homolog::golden
