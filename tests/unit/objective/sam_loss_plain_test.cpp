// SAM's two InfoNCE losses against loops over cells in double (method.md 7.3), draws in order, and
// their gradients against finite differences of those loops.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "objective/sam_loss.h"

namespace homolog::objective {
namespace {

using Vector = std::vector<double>;
using Rows = std::vector<Vector>;  // one vector per cell

Rows rows_of(const torch::Tensor& map_CZYX) {
  const torch::Tensor m = map_CZYX.detach().to(torch::kDouble).flatten(1).t().contiguous();
  Rows out;
  for (std::int64_t i = 0; i < m.size(0); ++i)
    out.emplace_back(m[i].data_ptr<double>(), m[i].data_ptr<double>() + m.size(1));
  return out;
}

double dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}
double distance(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum);
}
Rows joined(const Rows& a, const Rows& b) {
  Rows out = a;
  out.insert(out.end(), b.begin(), b.end());
  return out;
}

struct Place {
  std::size_t cell;
  double distance;
};
Place nearest(const Vector& at, const Rows& cells) {
  Place best{0, distance(at, cells[0])};
  for (std::size_t i = 1; i < cells.size(); ++i) {
    if (const double d = distance(at, cells[i]); d < best.distance) best = {i, d};
  }
  return best;
}

// -log of the positive's share.
double info_nce(double positive, const Vector& negatives, double temperature) {
  double sum = std::exp(positive / temperature);
  for (const double n : negatives) sum += std::exp(n / temperature);
  return std::log(sum) - positive / temperature;
}

// The `used` cells of highest rank, those that are excluded ranked as 0 or not at all.
std::vector<std::size_t> hardest(Vector rank, const std::vector<bool>& excluded,
                                 const SamLossPlan& p, std::int64_t candidates, std::int64_t used) {
  std::vector<std::size_t> order(rank.size());
  std::iota(order.begin(), order.end(), 0U);
  for (std::size_t i = 0; i < rank.size(); ++i) {
    if (excluded[i]) rank[i] = p.excluded == "zero" ? 0 : -INFINITY;
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return rank[a] > rank[b]; });
  order.resize(std::min(
      {order.size(), static_cast<std::size_t>(candidates), static_cast<std::size_t>(used)}));
  return order;
}

// Both views' cells; what one loss looks at.
struct Side {
  Rows vectors, ranks, mm;  // ranks: vectors whose similarity is added when negatives are ranked
};

double one_query(const Side& all, std::size_t query, double positive, const SamLossPlan& p,
                 double ignore, std::int64_t candidates, std::int64_t used, bool zero_counts,
                 Vector more) {
  Vector similarity, rank;
  std::vector<bool> excluded;
  for (std::size_t i = 0; i < all.vectors.size(); ++i) {
    similarity.push_back(dot(all.vectors[query], all.vectors[i]));
    rank.push_back(similarity.back() +
                   (all.ranks.empty() ? 0 : dot(all.ranks[query], all.ranks[i])));
    excluded.push_back(distance(all.mm[query], all.mm[i]) < ignore);
  }
  for (const std::size_t i : hardest(rank, excluded, p, candidates, used)) {
    if (excluded[i] && p.excluded == "removed") continue;
    more.push_back(excluded[i] && zero_counts ? 0 : similarity[i]);
  }
  return info_nce(positive, more, p.temperature);
}

double coarse_plain(const SamView& first, const SamView& second, const torch::Tensor& others_NC,
                    const SamLossPlan& p) {
  const Side all{joined(rows_of(first.coarse_CZYX), rows_of(second.coarse_CZYX)),
                 {},
                 joined(rows_of(first.coarse_mm_3ZYX), rows_of(second.coarse_mm_3ZYX))};
  const std::size_t half = all.mm.size() / 2;
  const Rows others = rows_of(others_NC.t().unsqueeze(2).unsqueeze(3));
  double sum = 0, count = 0;
  for (std::size_t query = 0; query < 2 * half; ++query) {
    const bool forth = query < half;
    const Rows to(all.mm.begin() + (forth ? std::ptrdiff_t(half) : 0),
                  all.mm.begin() + std::ptrdiff_t(forth ? 2 * half : half));
    const Place key = nearest(all.mm[query], to);
    const double dz = std::abs(all.mm[query][2] - to[key.cell][2]);
    if (key.distance >= p.coarse_positive_mm) continue;
    if (dz >= (forth ? p.coarse_dz_first_mm : p.coarse_dz_mm)) continue;
    Vector more;
    for (const Vector& other : others) more.push_back(dot(all.vectors[query], other));
    const double positive = dot(all.vectors[query], all.vectors[key.cell + (forth ? half : 0)]);
    sum += one_query(all, query, positive, p, p.coarse_ignore_mm, p.coarse_negative_candidates,
                     p.coarse_negatives_used, true, more);
    ++count;
  }
  EXPECT_GT(count, 4) << "the case has to have pairs";
  return sum / count;
}

// Coarse vectors at the fine cells: trilinear between cell centres, edges repeat, unit length.
Rows enlarged(const SamView& v) {
  const auto c = v.coarse_CZYX.sizes(), f = v.fine_CZYX.sizes();
  const Rows coarse = rows_of(v.coarse_CZYX);
  const auto tap = [](std::int64_t i, std::int64_t n, std::int64_t m) {
    const double at = std::max(0.0, (double(i) + 0.5) * double(n) / double(m) - 0.5);
    const auto low = std::min<std::int64_t>(std::int64_t(at), n - 1);
    return std::tuple(low, std::min(low + 1, n - 1), at - double(low));
  };
  Rows out;
  for (std::int64_t z = 0; z < f[1]; ++z) {
    for (std::int64_t y = 0; y < f[2]; ++y) {
      for (std::int64_t x = 0; x < f[3]; ++x) {
        const auto [z0, z1, wz] = tap(z, c[1], f[1]);
        const auto [y0, y1, wy] = tap(y, c[2], f[2]);
        const auto [x0, x1, wx] = tap(x, c[3], f[3]);
        Vector sum(static_cast<std::size_t>(c[0]), 0.0);
        for (int corner = 0; corner < 8; ++corner) {
          const bool ux = corner & 1, uy = corner & 2, uz = corner & 4;
          const double w = (ux ? wx : 1 - wx) * (uy ? wy : 1 - wy) * (uz ? wz : 1 - wz);
          const std::int64_t cell =
              ((uz ? z1 : z0) * c[2] + (uy ? y1 : y0)) * c[3] + (ux ? x1 : x0);
          for (std::size_t k = 0; k < sum.size(); ++k)
            sum[k] += w * coarse[static_cast<std::size_t>(cell)][k];
        }
        const double length = std::sqrt(dot(sum, sum));
        for (double& s : sum) s /= length;
        out.push_back(sum);
      }
    }
  }
  return out;
}

double fine_plain(const SamView& first, const SamView& second, const SamLossPlan& p) {
  const Rows mm1 = rows_of(first.fine_mm_3ZYX), mm2 = rows_of(second.fine_mm_3ZYX);
  const Side all{joined(rows_of(first.fine_CZYX), rows_of(second.fine_CZYX)),
                 joined(enlarged(first), enlarged(second)), joined(mm1, mm2)};
  const std::size_t half = mm1.size();
  const auto inside = [&](const Vector& at) {  // both views' boxes
    for (std::size_t a = 0; a < 3; ++a) {
      for (const Rows* mm : {&mm1, &mm2}) {
        double low = (*mm)[0][a], high = low;
        for (const Vector& v : *mm) low = std::min(low, v[a]), high = std::max(high, v[a]);
        if (at[a] < low || at[a] > high) return false;
      }
    }
    return true;
  };
  double sum = 0, count = 0;
  for (const bool forth : {true, false}) {
    const Rows &from = forth ? mm1 : mm2, &to = forth ? mm2 : mm1;
    std::int64_t looked_at = 0, kept = 0;
    for (std::size_t cell = 0; cell < from.size(); ++cell) {
      if (!inside(from[cell]) || looked_at++ >= p.fine_candidates) continue;
      const Place key = nearest(from[cell], to);
      if (key.distance >= p.fine_positive_mm || kept++ >= p.fine_points) continue;
      const std::size_t query = cell + (forth ? 0 : half);
      const double positive = dot(all.vectors[query], all.vectors[key.cell + (forth ? half : 0)]);
      sum += one_query(all, query, positive, p, p.fine_ignore_mm, p.fine_negative_candidates,
                       p.fine_negatives_used, false, {});
      ++count;
    }
  }
  EXPECT_GT(count, 4) << "the case has to have points";
  return sum / count;
}

struct Case {
  SamView first, second;
  torch::Tensor others_NC;
  SamLossPlan plan;
};

torch::Tensor unit(const torch::Tensor& map_CZYX) { return map_CZYX / map_CZYX.norm(2, 0, true); }

Case make_case(const std::string& excluded) {
  torch::manual_seed(8);
  const auto grid = [](double x0, double y0, double z0) {  // 5 mm voxels, no ties between cells
    const auto axis = [](double from) { return torch::arange(8).to(torch::kFloat) * 5 + from; };
    const auto mesh = torch::meshgrid({axis(z0), axis(y0), axis(x0)}, "ij");
    return torch::stack({mesh[2], mesh[1], mesh[0]});
  };
  const auto view = [&](double x, double y, double z) {
    return sam_view(unit(torch::randn({6, 4, 4, 4})), unit(torch::randn({6, 2, 2, 2})),
                    grid(x, y, z), torch::ones({1, 8, 8, 8}));
  };
  Case c{view(0, 0, 0), view(3.1, 1.3, 2.2), unit(torch::randn({6, 5})).t().contiguous(), {}};
  c.plan.temperature = 0.4;
  c.plan.excluded = excluded;
  c.plan.fine_candidates = 40;
  c.plan.fine_points = 12;
  c.plan.fine_positive_mm = 8;
  c.plan.fine_ignore_mm = 12;
  c.plan.fine_negative_candidates = 30;
  c.plan.fine_negatives_used = 20;
  c.plan.coarse_positive_mm = 15;
  c.plan.coarse_ignore_mm = 12;
  c.plan.coarse_dz_mm = 6;
  c.plan.coarse_dz_first_mm = 8;
  c.plan.coarse_negative_candidates = 9;
  c.plan.coarse_negatives_used = 6;
  return c;
}

torch::Tensor in_order(std::int64_t n, std::int64_t k) { return torch::arange(std::min(n, k)); }

// Central differences of the plain loss in a few entries of `map` against the gradient. The steps
// are so small because the choice of negatives jumps where two cells rank alike.
constexpr float kStep = 1.0F / (1 << 17);
void expect_gradient(const torch::Tensor& map, const std::function<double()>& plain) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor gradient = map.grad().flatten(), flat = map.detach().view({-1});
  double seen = 0;
  for (std::int64_t i = 0; i < flat.numel(); i += std::max<std::int64_t>(1, flat.numel() / 24)) {
    const float before = flat[i].item<float>(), up = before + kStep, down = before - kStep;
    flat[i] = up;
    const double above = plain();
    flat[i] = down;
    const double below = plain();
    flat[i] = before;
    EXPECT_NEAR(gradient[i].item<double>(), (above - below) / (double(up) - double(down)), 2e-4)
        << i;
    seen += std::abs(gradient[i].item<double>());
  }
  EXPECT_GT(seen, 1e-3) << "some gradient has to flow";
}

TEST(SamLossPlain, CoarseLossIsTheLoops) {
  for (const char* excluded : {"removed", "zero"}) {
    SCOPED_TRACE(excluded);
    Case c = make_case(excluded);
    c.first.coarse_CZYX.requires_grad_();
    c.second.coarse_CZYX.requires_grad_();
    const torch::Tensor loss = sam_coarse_loss(c.first, c.second, c.others_NC, c.plan, in_order);
    const auto plain = [&] { return coarse_plain(c.first, c.second, c.others_NC, c.plan); };
    EXPECT_NEAR(loss.item<double>(), plain(), 1e-5);
    loss.backward();
    expect_gradient(c.first.coarse_CZYX, plain);
    expect_gradient(c.second.coarse_CZYX, plain);
  }
}

TEST(SamLossPlain, FineLossIsTheLoops) {
  for (const char* excluded : {"removed", "zero"}) {
    SCOPED_TRACE(excluded);
    Case c = make_case(excluded);
    c.first.fine_CZYX.requires_grad_();
    c.second.fine_CZYX.requires_grad_();
    const torch::Tensor loss = sam_fine_loss(c.first, c.second, c.plan, in_order);
    const auto plain = [&] { return fine_plain(c.first, c.second, c.plan); };
    EXPECT_NEAR(loss.item<double>(), plain(), 1e-5);
    loss.backward();
    expect_gradient(c.first.fine_CZYX, plain);
    expect_gradient(c.second.fine_CZYX, plain);
  }
}

}  // namespace
}  // namespace homolog::objective
