// What the micro batches of a step add up to, before the ranks agree on it.
#pragma once

#include <torch/types.h>

#include <vector>

#include "objective/objective.h"

namespace homolog::train {

struct Tally {
  torch::Tensor total, statistics;
  std::vector<objective::LossTerm> terms;
  std::int64_t pairs = 0;

  void add(const objective::Loss& loss, double share) {
    const auto sum = [](torch::Tensor& to, const torch::Tensor& value) {
      to = to.defined() ? to + value : value;
    };
    sum(total, loss.total.detach() * share);
    if (loss.statistics.defined() && loss.statistics.numel() > 0)
      sum(statistics, loss.statistics.detach());
    if (terms.empty()) {
      for (const auto& term : loss.terms) terms.push_back({term.name, torch::Tensor()});
    }
    for (std::size_t i = 0; i < terms.size(); ++i)
      sum(terms[i].value, loss.terms.at(i).value.detach() * share);
  }
};

}  // namespace homolog::train
