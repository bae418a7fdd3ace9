// The networks of Alice as one module: what is trained, and its moving average.
#pragma once

#include <torch/nn/module.h>

#include <memory>

#include "model/backbone.h"
#include "model/backbone_entry.h"
#include "model/casa.h"
#include "model/head.h"
#include "objective/alice_plan.h"

namespace homolog::objective::alice {

// Backbone, head and CASA under the names that checkpoints and export use.
struct Network : torch::nn::Module {
  Network(std::shared_ptr<backbone::Backbone> b, model::ProjectionHead h, model::Casa c)
      : backbone(std::move(b)), head(std::move(h)), casa(std::move(c)) {
    register_module("backbone", backbone);
    register_module("head", head);
    if (!casa.is_empty()) register_module("casa", casa);
  }
  std::shared_ptr<backbone::Backbone> backbone;
  model::ProjectionHead head;
  model::Casa casa;
};

// Fresh weights. The target has no queries of CASA, and CASA at all only where it is averaged too.
std::shared_ptr<Network> build_network(const Plan& plan, const backbone::Factory& factory,
                                       const backbone::Size3& crop, bool as_target);

}  // namespace homolog::objective::alice
