// What a file of homolog's says of the network that its weights are of, beside names and shapes,
// and whether that is the network that they are put into.
#pragma once

#include <string>
#include <vector>

#include "model/build_backbone.h"
#include "model/weights/network_weights.h"
#include "model/weights/torch_file.h"

namespace homolog::backbone {

// The options that the file's metadata hold ("options", or a run's "config"), as those of `entry`:
// of another network that has an option of that name (a ViT within a UNETR) under this one's key.
// Without what an import guessed. Empty: the file says nothing, others wrote it.
Settings stated_options(const model::ForeignWeights& from, const Entry& entry);

// A guess counts as the file's own word where that says so.
bool is_guessed(const Recognised& told, const std::string& key);
// What nobody said. A file that homolog wrote is of a network as homolog builds it.
void tell_guesses(const Recognised& told, const Settings& given, bool own,
                  std::vector<std::string>& notes);

// Weights that fit a network by names and shapes, and would compute something else in it. Throws
// Fault::Data with the options that the file states otherwise than `options`, the network's own
// ("model.NAME.key"), and what to set. What neither shapes nor the file tell is noted in `weights`:
// it is taken as the network has it.
void require_stated_options(const model::ForeignWeights& from, const Entry& entry,
                            const Settings& options, const std::string& origin,
                            NetworkWeights& weights);

}  // namespace homolog::backbone
