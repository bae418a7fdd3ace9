#include "train/consensus.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

namespace homolog::train {
namespace {

// Everything that lies on the device, in one copy to the host: [total, terms..., maximum, norm^2,
// statistics..., running...].
std::vector<double> fetch(const Ballot& ballot) {
  std::vector<torch::Tensor> pieces;
  const auto add = [&](const torch::Tensor& t) {
    pieces.push_back(t.detach().to(torch::kFloat64).reshape({-1}));
  };
  add(ballot.total);
  for (const auto& term : ballot.terms) add(term);
  const auto device = ballot.total.device();
  add(ballot.local_maximum.to(device));
  add(ballot.squared_norm.to(device));
  if (ballot.statistics.defined()) add(ballot.statistics);
  if (ballot.running.defined()) add(ballot.running);
  const torch::Tensor host = torch::cat(pieces).to(torch::kCPU).contiguous();
  return {host.data_ptr<double>(), host.data_ptr<double>() + host.numel()};
}

}  // namespace

World Consensus::agree(const Ballot& ballot) {
  torch::NoGradGuard no_grad;
  const std::vector<double> mine = fetch(ballot);
  const std::size_t terms = ballot.terms.size(), first_statistic = terms + 3;
  const auto running =
      static_cast<std::size_t>(ballot.running.defined() ? ballot.running.numel() : 0);
  const std::size_t statistics = mine.size() - first_statistic - running;
  const auto world = static_cast<std::size_t>(communicator_.rank().size);
  const double norm_square = mine[terms + 2];
  const bool own_bad = !std::isfinite(mine[0]) || !std::isfinite(mine[terms + 1]);

  // [total, terms][statistics][running][touched][bad ranks][reduced gradient bad][stop][save]
  std::vector<double> all(mine.begin(), mine.begin() + static_cast<std::ptrdiff_t>(1 + terms));
  all.insert(all.end(), mine.begin() + static_cast<std::ptrdiff_t>(first_statistic), mine.end());
  all.insert(all.end(), ballot.touched.begin(), ballot.touched.end());
  const std::size_t flags = all.size();
  all.resize(flags + world + 3, 0.0);
  all[flags + static_cast<std::size_t>(communicator_.rank().index)] = own_bad ? 1 : 0;
  all[flags + world] = std::isfinite(norm_square) ? 0 : 1;
  all[flags + world + 1] = ballot.stop ? 1 : 0;
  all[flags + world + 2] = ballot.save ? 1 : 0;
  // After fetch(): where the wire broke meanwhile, fetch() came back with unreduced gradients. This
  // call then throws, and without this rank's vote no other rank gets past it either.
  communicator_.all_reduce({all.data(), all.size(), comm::Scalar::F64}, comm::Reduce::Sum,
                           "consensus");

  World result;
  result.total = all[0] / static_cast<double>(world);
  for (std::size_t i = 0; i < terms; ++i)
    result.terms.push_back(all[1 + i] / static_cast<double>(world));
  if (ballot.statistics.defined()) {
    const torch::Tensor sums = torch::from_blob(
        all.data() + 1 + terms, {static_cast<std::int64_t>(statistics)}, torch::kFloat64);
    result.statistics = sums.to(torch::kFloat32).to(ballot.statistics.device());
  }
  if (ballot.running.defined()) {
    result.running = torch::from_blob(all.data() + 1 + terms + statistics,
                                      {static_cast<std::int64_t>(running)}, torch::kFloat64)
                         .clone();
  }
  for (std::size_t i = 0; i < ballot.touched.size(); ++i)
    result.touched.push_back(all[1 + terms + statistics + running + i] > 0);
  for (std::size_t r = 0; r < world; ++r) {
    if (all[flags + r] > 0) result.nonfinite_ranks.push_back(static_cast<int>(r));
  }
  result.finite = result.nonfinite_ranks.empty() && all[flags + world] == 0;
  result.stop = all[flags + world + 1] > 0;
  result.save = all[flags + world + 2] > 0;
  result.gradient_norm = std::sqrt(norm_square);
  return result;
}

}  // namespace homolog::train
