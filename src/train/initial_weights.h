// A run that starts from weights of another one, or from published ones.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "model/backbone.h"
#include "objective/objective.h"

namespace homolog::train {

// Fills the objective's backbone, and the target with it, from what `homolog export` or `homolog
// import` wrote, or a .pt file. What the file lacks and may lack stays as it was drawn; position
// tables of another crop are resampled; both are logged. Returns {"weights", the file's hash}.
// Throws Fault::Data with the list of what differs (then nothing is changed), Usage where the
// objective has no backbone.
std::map<std::string, std::string> start_from_weights(objective::Objective& objective,
                                                      const std::filesystem::path& file,
                                                      const backbone::Size3& crop);

}  // namespace homolog::train
