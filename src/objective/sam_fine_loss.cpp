#include <ATen/ops/cat.h>
#include <torch/nn/functional/normalization.h>
#include <torch/nn/functional/upsampling.h>

#include "objective/sam_loss.h"
#include "objective/sam_rows.h"

namespace homolog::objective {
namespace {

namespace F = torch::nn::functional;

torch::Tensor rows(const torch::Tensor& map_CZYX) { return map_CZYX.flatten(1).t(); }  // [cells, C]

// Axis-aligned box in mm that both views' valid cells span: low [3] and high [3].
struct Overlap {
  torch::Tensor low_3, high_3;
  bool empty = false;
};

Overlap overlap(const SamView& a, const SamView& b) {
  const auto box = [](const SamView& v) {
    const torch::Tensor cells = rows(v.fine_mm_3ZYX).index({v.fine_valid_ZYX.flatten() > 0});
    return cells.size(0) > 0 ? std::make_pair(cells.amin(0), cells.amax(0))
                             : std::make_pair(torch::Tensor(), torch::Tensor());
  };
  const auto [low_a, high_a] = box(a);
  const auto [low_b, high_b] = box(b);
  if (!low_a.defined() || !low_b.defined()) return {{}, {}, true};
  Overlap o{low_a.maximum(low_b), high_a.minimum(high_b)};
  o.empty = (o.low_3 > o.high_3).any().item<bool>();
  return o;
}

// Query points of one direction, with the nearest cell of the other view.
struct Points {
  torch::Tensor query, key;  // cell indices
  torch::Tensor distance;    // to that key
};

Points candidates(const SamView& from, const SamView& to, const Overlap& o, const SamLossPlan& plan,
                  const Draw& draw) {
  const torch::Tensor mm = rows(from.fine_mm_3ZYX);
  const torch::Tensor inside =
      ((mm >= o.low_3) & (mm <= o.high_3)).all(1) & (from.fine_valid_ZYX.flatten() > 0);
  torch::Tensor cells = inside.nonzero().flatten();
  if (cells.size(0) == 0) return {cells, cells, torch::empty({0}, mm.options())};
  cells = cells.index_select(0, draw(cells.size(0), plan.fine_candidates).to(cells.device()));
  const auto [distance, key] =
      distances_NM(mm.index_select(0, cells), rows(to.fine_mm_3ZYX)).min(1);
  return {cells, key, distance};
}

Points kept(const Points& p, double radius, const SamLossPlan& plan, const Draw& draw) {
  torch::Tensor near = (p.distance < radius).nonzero().flatten();
  if (near.size(0) > plan.fine_points)
    near = near.index_select(0, draw(near.size(0), plan.fine_points).to(near.device()));
  return {p.query.index_select(0, near), p.key.index_select(0, near),
          p.distance.index_select(0, near)};
}

// Cells of both views, the one that queries first or second: vectors, coarse vectors, coordinates.
struct Cells {
  torch::Tensor fine_MC, mm_M3, coarse_MC;  // coarse only when negatives are mined
};

torch::Tensor enlarged(const SamView& v) {  // coarse map at the fine cells, unit length; ranks only
  const torch::NoGradGuard no_grad;
  const auto size = v.fine_CZYX.sizes().slice(1).vec();
  const torch::Tensor map = F::interpolate(
      v.coarse_CZYX.detach().unsqueeze(0),
      F::InterpolateFuncOptions().size(size).mode(torch::kTrilinear).align_corners(false));
  return rows(F::normalize(map, F::NormalizeFuncOptions().dim(1))[0]);
}

Cells cells_of(const SamView& first, const SamView& second, const SamLossPlan& plan,
               const Draw& draw) {
  Cells c{at::cat({rows(first.fine_CZYX), rows(second.fine_CZYX)}),
          at::cat({rows(first.fine_mm_3ZYX), rows(second.fine_mm_3ZYX)}),
          {}};
  if (plan.fine_negatives == "mined") {
    c.coarse_MC = at::cat({enlarged(first), enlarged(second)});
  } else {
    const torch::Tensor some =
        draw(c.fine_MC.size(0), plan.fine_negatives_used).to(c.fine_MC.device());
    c.fine_MC = c.fine_MC.index_select(0, some);
    c.mm_M3 = c.mm_M3.index_select(0, some);
  }
  return c;
}

// `offset`: where the querying view's cells begin among all cells.
torch::Tensor direction(const SamView& from, const SamView& to, const Points& p, const Cells& all,
                        std::int64_t offset, const SamLossPlan& plan, const Draw& draw) {
  const torch::Tensor query = rows(from.fine_CZYX).index_select(0, p.query);
  const torch::Tensor positive = (query * rows(to.fine_CZYX).index_select(0, p.key)).sum(1);
  const torch::Tensor similarity = query.matmul(all.fine_MC.t());
  const torch::Tensor excluded = distances_NM(rows(from.fine_mm_3ZYX).index_select(0, p.query),
                                              all.mm_M3) < plan.fine_ignore_mm;
  const bool remove = plan.excluded == "removed";
  if (!all.coarse_MC.defined()) {  // random negatives: all are used
    return info_nce_N(positive,
                      similarity.masked_fill(excluded, -std::numeric_limits<double>::infinity()),
                      plan.temperature);
  }
  const torch::Tensor rank =
      similarity.detach() +
      all.coarse_MC.index_select(0, p.query + offset).matmul(all.coarse_MC.t());
  const torch::Tensor index = hard_negatives(rank, excluded, plan.fine_negative_candidates,
                                             plan.fine_negatives_used, remove, draw);
  return info_nce_N(positive, gather_negatives(similarity, excluded, index, remove, false),
                    plan.temperature);
}

// Views that do not meet: cells of the first against its own hardest.
torch::Tensor alone(const SamView& view, const SamLossPlan& plan, const Draw& draw) {
  const torch::Tensor fine = rows(view.fine_CZYX), mm = rows(view.fine_mm_3ZYX);
  const torch::Tensor some = draw(fine.size(0), plan.fine_points).to(fine.device());
  const torch::Tensor query = fine.index_select(0, some), similarity = query.matmul(fine.t());
  const torch::Tensor excluded = distances_NM(mm.index_select(0, some), mm) < plan.fine_ignore_mm;
  const bool remove = plan.excluded == "removed";
  const Draw in_order = [](std::int64_t n, std::int64_t k) {
    return torch::arange(std::min(n, k));
  };
  const torch::Tensor index = hard_negatives(similarity, excluded, plan.fine_negatives_used,
                                             plan.fine_negatives_used, remove, in_order);
  return info_nce_N((query * query).sum(1),
                    gather_negatives(similarity, excluded, index, remove, true), plan.temperature)
      .mean();
}

}  // namespace

SamView sam_view(const torch::Tensor& fine_CZYX, const torch::Tensor& coarse_CZYX,
                 const torch::Tensor& grid_3ZYX, const torch::Tensor& valid_1ZYX) {
  const auto reduced = [&](const torch::Tensor& map, const torch::Tensor& like, bool linear) {
    auto options = F::InterpolateFuncOptions().size(like.sizes().slice(1).vec());
    if (linear) {
      options.mode(torch::kTrilinear).align_corners(false);
    } else {
      options.mode(torch::kNearest);
    }
    return F::interpolate(map.unsqueeze(0), options)[0];
  };
  return {fine_CZYX, coarse_CZYX, reduced(grid_3ZYX, fine_CZYX, true),
          reduced(grid_3ZYX, coarse_CZYX, true), reduced(valid_1ZYX, fine_CZYX, false)[0]};
}

torch::Tensor sam_fine_loss(const SamView& first, const SamView& second, const SamLossPlan& plan,
                            const Draw& draw) {
  const Overlap o = overlap(first, second);
  if (o.empty) return alone(first, plan, draw);
  const Points from_first = candidates(first, second, o, plan, draw),
               from_second = candidates(second, first, o, plan, draw);
  Points one = kept(from_first, plan.fine_positive_mm, plan, draw),
         two = kept(from_second, plan.fine_positive_mm, plan, draw);
  if (one.query.size(0) == 0) {  // then the nearest ones there are
    const auto radius = [](const Points& p) {
      return p.distance.size(0) > 0 ? p.distance.min().item<double>() + 0.5 : 0.0;
    };
    one = kept(from_first, radius(from_first), plan, draw);
    two = kept(from_second, radius(from_second), plan, draw);
  }
  if (one.query.size(0) + two.query.size(0) == 0) return alone(first, plan, draw);
  const Cells all = cells_of(first, second, plan, draw);
  const std::int64_t cells = first.fine_mm_3ZYX[0].numel();
  std::vector<torch::Tensor> losses;
  if (one.query.size(0) > 0) losses.push_back(direction(first, second, one, all, 0, plan, draw));
  if (two.query.size(0) > 0)
    losses.push_back(direction(second, first, two, all, cells, plan, draw));
  return at::cat(losses).mean();
}

}  // namespace homolog::objective
