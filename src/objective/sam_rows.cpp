#include "objective/sam_rows.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/cdist.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/stack.h>

#include <limits>

namespace homolog::objective {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

}  // namespace

torch::Tensor distances_NM(const torch::Tensor& from_N3, const torch::Tensor& to_M3) {
  const torch::NoGradGuard no_grad;
  return at::cdist(from_N3, to_M3, 2.0,
                   2);  // mode 2: no matrix product, whose cancellation costs tenths of a mm
}

torch::Tensor info_nce_N(const torch::Tensor& positive_N, const torch::Tensor& negative_NK,
                         double temperature) {
  const torch::Tensor logits = at::cat({positive_N.unsqueeze(1), negative_NK}, 1) / temperature;
  return at::logsumexp(logits, {1}) - logits.select(1, 0);
}

torch::Tensor hard_negatives(const torch::Tensor& rank_NM, const torch::Tensor& excluded_NM,
                             std::int64_t candidates, std::int64_t used, bool remove,
                             const Draw& draw) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor rank = rank_NM.detach().masked_fill(excluded_NM, remove ? kNever : 0.0);
  const torch::Tensor top = std::get<1>(rank.topk(std::min(candidates, rank.size(1)), 1));
  std::vector<torch::Tensor> rows;
  for (std::int64_t i = 0; i < top.size(0); ++i) {
    rows.push_back(top.select(0, i).index_select(0, draw(top.size(1), used).to(top.device())));
  }
  return at::stack(rows);
}

torch::Tensor gather_negatives(const torch::Tensor& similarity_NM, const torch::Tensor& excluded_NM,
                               const torch::Tensor& index_NK, bool remove, bool zero) {
  const torch::Tensor values = similarity_NM.gather(1, index_NK);
  if (!remove && !zero) return values;
  return values.masked_fill(excluded_NM.gather(1, index_NK), remove ? kNever : 0.0);
}

}  // namespace homolog::objective
