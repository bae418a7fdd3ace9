// The table of backbones, generated from the files in backbones/.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/backbone.h"

namespace homolog::backbone {

// Holds the options of one backbone ("model.NAME.key") and builds it.
class Factory {
 public:
  virtual ~Factory() = default;
  virtual void declare(Options& options) = 0;
  // Throws Fault::Usage when crop and options do not fit, naming the key to change.
  virtual std::shared_ptr<Backbone> make(const Size3& crop) const = 0;
};

struct Entry {
  const char* name;
  const char* summary;
  std::unique_ptr<Factory> (*factory)();
};

std::vector<const Entry*> catalog();         // generated
const Entry& find(const std::string& name);  // throws Fault::Usage with the nearest name

}  // namespace homolog::backbone
