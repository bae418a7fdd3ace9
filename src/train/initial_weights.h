// A run that starts from weights of another one, or from published ones.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "model/build_backbone.h"
#include "objective/objective.h"

namespace homolog::train {

struct WeightsPlan {
  std::filesystem::path file;
  std::string backbone;        // of the run, by its name
  backbone::Settings options;  // and all its options, "model.NAME.key"
  backbone::Size3 crop{};
};

// Fills the objective's backbone, and the target with it, from what `homolog export` or `homolog
// import` wrote, or a .pt file. What the file lacks and may lack stays as it was drawn; position
// tables of another crop are resampled; both are logged, and what the file does not tell. Returns
// {"weights", the file's hash}. Throws Fault::Data with the list of what differs, options that the
// file states among it (then nothing is changed), Usage where the objective has no backbone.
std::map<std::string, std::string> start_from_weights(objective::Objective& objective,
                                                      const WeightsPlan& plan);

}  // namespace homolog::train
