// Defaults of the Objective interface, and look-up by name in the generated table.
#include "objective/objective.h"

#include "base/error.h"
#include "objective/objective_entry.h"

namespace homolog::objective {

ParameterRule Objective::rule(const std::string& name, const torch::Tensor& parameter) const {
  ParameterRule out;
  out.trained = parameter.requires_grad();
  out.decayed = parameter.dim() > 1 && !name.ends_with("bias");
  return out;
}

const Entry& find(const std::string& name) {
  std::vector<std::string> names;
  for (const Entry* entry : catalog()) {
    if (name == entry->name) return *entry;
    names.emplace_back(entry->name);
  }
  std::string known;
  for (const std::string& n : names) known += (known.empty() ? "" : ", ") + n;
  const std::string nearest = nearest_word(name, names);
  throw Error(Fault::Usage, "objective.name: no objective is called \"" + name + "\"",
              nearest.empty() ? "choose one of: " + known
                              : "did you mean \"" + nearest + "\"? known: " + known);
}

}  // namespace homolog::objective
