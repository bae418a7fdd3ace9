#include <ATen/ops/cat.h>

#include "objective/sam_loss.h"
#include "objective/sam_rows.h"

namespace homolog::objective {
namespace {

torch::Tensor rows(const torch::Tensor& map_CZYX) { return map_CZYX.flatten(1).t(); }  // [cells, C]

struct Pairs {
  torch::Tensor query, key;  // cell indices of the querying and of the other view
};

// Every cell whose nearest cell of the other view is close enough, and in z too.
Pairs positives(const SamView& from, const SamView& to, double dz_mm, const SamLossPlan& plan) {
  const torch::Tensor a = rows(from.coarse_mm_3ZYX), b = rows(to.coarse_mm_3ZYX);
  const auto [distance, key] = distances_NM(a, b).min(1);
  const torch::Tensor dz = (a.select(1, 2) - b.select(1, 2).index_select(0, key)).abs();
  const torch::Tensor query =
      ((distance < plan.coarse_positive_mm) & (dz < dz_mm)).nonzero().flatten();
  return {query, key.index_select(0, query)};
}

torch::Tensor from_others(const torch::Tensor& query_NC, const torch::Tensor& others_MC,
                          const SamLossPlan& plan, const Draw& draw) {
  if (others_MC.size(0) == 0 || plan.coarse_other_volumes == 0)
    return query_NC.new_empty({query_NC.size(0), 0});
  const torch::Tensor some =
      draw(others_MC.size(0), plan.coarse_other_volumes).to(others_MC.device());
  return query_NC.matmul(others_MC.index_select(0, some).t());
}

// In-pair negatives of one direction, then the other volumes' ones are joined to each row.
torch::Tensor direction(const SamView& from, const SamView& to, const Pairs& p,
                        const torch::Tensor& all_MC, const torch::Tensor& all_mm_M3,
                        const torch::Tensor& others_NC, const SamLossPlan& plan, const Draw& draw) {
  const bool remove = plan.excluded == "removed";
  const torch::Tensor query = rows(from.coarse_CZYX).index_select(0, p.query);
  const torch::Tensor positive = (query * rows(to.coarse_CZYX).index_select(0, p.key)).sum(1);
  const torch::Tensor similarity = query.matmul(all_MC.t());
  const torch::Tensor excluded = distances_NM(rows(from.coarse_mm_3ZYX).index_select(0, p.query),
                                              all_mm_M3) < plan.coarse_ignore_mm;
  const torch::Tensor index = hard_negatives(similarity, excluded, plan.coarse_negative_candidates,
                                             plan.coarse_negatives_used, remove, draw);
  const torch::Tensor negatives = gather_negatives(similarity, excluded, index, remove, true);
  return info_nce_N(positive, at::cat({negatives, from_others(query, others_NC, plan, draw)}, 1),
                    plan.temperature);
}

// No cell of the first view has a partner: each cell of both against its own hardest. The highest
// similarity of a row is the cell with itself, which is the positive.
torch::Tensor alone(const torch::Tensor& view_NC, const torch::Tensor& all_MC,
                    const torch::Tensor& others_NC, const SamLossPlan& plan, const Draw& draw) {
  const torch::Tensor similarity = view_NC.matmul(all_MC.t());
  const torch::Tensor top =
      std::get<0>(similarity.topk(std::min(plan.coarse_negatives_used + 1, similarity.size(1)), 1));
  const torch::Tensor negatives = top.narrow(1, 1, top.size(1) - 1);
  return info_nce_N(top.select(1, 0),
                    at::cat({negatives, from_others(view_NC, others_NC, plan, draw)}, 1),
                    plan.temperature);
}

}  // namespace

torch::Tensor sam_coarse_loss(const SamView& first, const SamView& second,
                              const torch::Tensor& others_NC, const SamLossPlan& plan,
                              const Draw& draw) {
  const torch::Tensor one = rows(first.coarse_CZYX), two = rows(second.coarse_CZYX),
                      all = at::cat({one, two});
  const Pairs there = positives(first, second, plan.coarse_dz_first_mm, plan);
  if (there.query.size(0) == 0) {
    return at::cat({alone(one, all, others_NC, plan, draw), alone(two, all, others_NC, plan, draw)})
        .mean();
  }
  const torch::Tensor mm = at::cat({rows(first.coarse_mm_3ZYX), rows(second.coarse_mm_3ZYX)});
  const Pairs back = positives(second, first, plan.coarse_dz_mm, plan);
  std::vector<torch::Tensor> losses = {
      direction(first, second, there, all, mm, others_NC, plan, draw)};
  if (back.query.size(0) > 0)
    losses.push_back(direction(second, first, back, all, mm, others_NC, plan, draw));
  return at::cat(losses).mean();
}

}  // namespace homolog::objective
