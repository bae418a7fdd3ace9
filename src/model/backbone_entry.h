// The table of backbones, generated from the files in backbones/.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/backbone.h"

namespace homolog::backbone {

using NamedTensors = std::map<std::string, torch::Tensor>;

// What shapes do not tell, and what is taken for it.
struct Guess {
  std::string option;  // that decides, "model.NAME.key"; empty: none does
  std::string note;    // for whoever imports
};
// Why weights cannot be taken, though their names are the network's.
struct Misfit {
  std::string what;    // tensor, its shape, what is needed
  std::string remedy;  // "" where none is known
};
// A network read from the names and shapes of its weights.
struct Recognised {
  std::map<std::string, std::string> options{};  // "model.NAME.key" -> value
  Size3 crop{};                                  // that it was made for; 0: not known, or any
  std::int64_t tokens = 0;                       // of its position table; 0: none is there
  std::int64_t token_side = 0;                   // voxels of such a token, each axis
  double least_numbers = 0;  // in a network of these shapes; more than a file holds: it lies
  std::vector<Guess> guesses{};
  std::vector<Misfit> misfits{};  // empty: it can be built
};

// Holds the options of one backbone ("model.NAME.key") and builds it.
class Factory {
 public:
  virtual ~Factory() = default;
  virtual void declare(Options& options) = 0;
  // Throws Fault::Usage when crop and options do not fit, naming the key to change.
  virtual std::shared_ptr<Backbone> make(const Size3& crop) const = 0;
  // The options with which this network has these tensors (names without any prefix), or why it
  // cannot have them; nothing where the names are not its own. A position table tells its number of
  // tokens alone: a cube is assumed.
  virtual std::optional<Recognised> recognise(const NamedTensors& tensors) const {
    return (void)tensors, std::nullopt;
  }
  // Whether a run may set this option ("model.NAME.key") otherwise than it was where its first
  // weights come from: it acts in training alone. Any other one changes what the weights compute.
  // By the usual names: stochastic depth, whether a position table is trained (sines are compared
  // with the file's table).
  virtual bool is_of_training(const std::string& key) const {
    return key.ends_with(".drop_path") || key.ends_with(".position") || key.ends_with(".positions");
  }
};

struct Entry {
  const char* name;
  const char* summary;
  std::unique_ptr<Factory> (*factory)();
};

std::vector<const Entry*> catalog();         // generated
const Entry& find(const std::string& name);  // throws Fault::Usage with the nearest name

}  // namespace homolog::backbone
