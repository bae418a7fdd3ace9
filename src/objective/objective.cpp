// Defaults of the Objective interface, and look-up by name in the generated table.
#include "objective/objective.h"

#include "base/error.h"
#include "base/find_entry.h"
#include "objective/objective_entry.h"

namespace homolog::objective {

ParameterRule Objective::rule(const std::string& name, const torch::Tensor& parameter) const {
  ParameterRule out;
  out.trained = parameter.requires_grad();
  out.decayed = parameter.dim() > 1 && !name.ends_with("bias");
  return out;
}

void Objective::start_from(const std::function<void(backbone::Backbone&)>& /*fill*/) {
  throw Error(Fault::Usage, "this objective trains a network of its own, which takes no weights",
              "leave model.weights out");
}

void Objective::set_activations(model::Activations which) {
  if (which == model::Activations::Kept) return;
  throw Error(Fault::Usage, "this objective's network cannot recompute its activations",
              "set cluster.activation_checkpoint = false");
}

const Entry& find(const std::string& name) {
  return find_entry(catalog(), name, "objective.name", "objective");
}

}  // namespace homolog::objective
