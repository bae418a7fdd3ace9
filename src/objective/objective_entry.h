// The table of objectives, generated from the files in objectives/.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/backbone_entry.h"
#include "objective/objective.h"

namespace homolog::objective {

class Factory {
 public:
  virtual ~Factory() = default;
  virtual void declare(Options& options) = 0;  // "objective.NAME.key"
  // `backbone` is the chosen backbone's factory; objectives with a network of their own ignore it.
  virtual std::unique_ptr<Objective> make(const backbone::Factory& backbone,
                                          const backbone::Size3& crop) const = 0;
  // The least input of a network of its own, in voxels. Throws Fault::Usage where it cannot be
  // built.
  virtual backbone::Size3 cell() const { return {1, 1, 1}; }
};

struct Entry {
  const char* name;
  const char* summary;
  std::unique_ptr<Factory> (*factory)();
  const char* trainer = "homolog train";  // the command that trains for it
  std::int64_t recipe_batch = 0;          // samples per optimiser step as published; 0: not known
};

std::vector<const Entry*> catalog();         // generated
const Entry& find(const std::string& name);  // throws Fault::Usage with the nearest name

}  // namespace homolog::objective
