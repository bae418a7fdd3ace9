// SAM: its network, its contrastive losses with draws in order, and matching in every mode.
#include "golden_kind.h"
#include "model/sam_net.h"
#include "objective/sam_loss.h"
#include "sharding/match/matcher.h"
#include "sharding/match/similarity.h"

namespace homolog::golden {
namespace {

using nlohmann::json;
using torch::Tensor;

Tensor doubles(const std::vector<double>& values) { return torch::tensor(values, torch::kDouble); }

objective::SamLossPlan loss_plan(const json& c) {
  objective::SamLossPlan p;
  p.temperature = c.at("temperature");
  p.fine_candidates = c.at("pre_select_pos_number");
  p.fine_points = c.at("after_select_pos_number");
  p.fine_positive_mm = c.at("positive_distance");
  p.fine_ignore_mm = c.at("ignore_distance");
  p.fine_negative_candidates = c.at("pre_select_neg_number");
  p.fine_negatives_used = c.at("after_select_neg_number");
  p.coarse_positive_mm = c.at("coarse_positive_distance");
  p.coarse_ignore_mm = c.at("coarse_ignore_distance");
  p.coarse_dz_mm = c.at("coarse_z_thres");
  p.coarse_negative_candidates = c.at("coarse_pre_select_neg_number");
  p.coarse_negatives_used = c.at("coarse_after_select_neg_number");
  p.coarse_other_volumes = c.at("coarse_global_select_number");
  p.excluded = "zero";  // as the reference ranks them (D34)
  return p;
}

// Coordinates of one image: channels x, y, z in mm; the fixture's are y, x, z.
Tensor grid_3ZYX(const std::array<double, 3>& offset_yxz, const std::vector<std::int64_t>& sides) {
  const auto axis = [](std::int64_t n, double offset) {
    return torch::arange(n).to(torch::kFloat) * 2 + offset;
  };
  const auto mesh =
      torch::meshgrid({axis(sides.at(0), offset_yxz[2]), axis(sides.at(1), offset_yxz[0]),
                       axis(sides.at(2), offset_yxz[1])},
                      "ij");
  return torch::stack({mesh[2], mesh[1], mesh[0]});
}

Tensor channels_yxz(const Tensor& grid_3ZYX) {
  return torch::stack({grid_3ZYX[1], grid_3ZYX[0], grid_3ZYX[2]});
}

class LossCase {
 public:
  LossCase(const Fixture& fixture, const model::SamMaps& maps)
      : fixture_(fixture), maps_(maps), plan_(loss_plan(fixture.config().at("train_cfg"))) {
    const auto image = fixture.config().at("img").get<std::vector<std::int64_t>>();
    const std::vector<std::int64_t> sides(image.end() - 3, image.end());
    for (const std::array<double, 3>& offset :
         {std::array<double, 3>{0, 0, 0}, {6, -4, 8}, {0, 0, 0}, {-10, 12, 3}}) {
      grids_.push_back(grid_3ZYX(offset, sides));
    }
    valid_ = torch::ones({1, sides[0], sides[1], sides[2]});
    valid_.slice(1, 0, 2).zero_();
  }
  // Terms of the pairs, with gradients.
  struct Losses {
    std::vector<Tensor> fine;
    Tensor coarse, total;
  };
  Losses losses(const std::vector<Tensor>& grids) const {
    const auto in_order = [](std::int64_t n, std::int64_t k) {
      return torch::arange(std::min(n, k));
    };
    Losses out;
    out.coarse = torch::zeros({});
    for (std::int64_t pair = 0; pair < 2; ++pair) {
      const auto one = view(grids, 2 * pair), two = view(grids, 2 * pair + 1);
      std::vector<Tensor> others;
      for (std::int64_t i = 0; i < 4; ++i) {
        if (i / 2 != pair) others.push_back(maps_.coarse_BCZYX[i].flatten(1).t());
      }
      out.fine.push_back(objective::sam_fine_loss(one, two, plan_, in_order));
      out.coarse = out.coarse +
                   objective::sam_coarse_loss(one, two, torch::cat(others), plan_, in_order) / 2;
    }
    out.total = (out.fine[0] + out.fine[1]) / 2 + out.coarse;
    return out;
  }
  void check(const model::SamNet& net, const std::vector<NamedEntry>& rows) const {
    const objective::SamView first = view(grids_, 0);
    fixture_.expect("loss.grid_fine0", channels_yxz(first.fine_mm_3ZYX));
    fixture_.expect("loss.grid_coarse0", channels_yxz(first.coarse_mm_3ZYX));
    const Losses met = losses(grids_);
    fixture_.expect("loss.terms", torch::stack({met.fine[0], met.fine[1], met.coarse, met.total}));
    // The reference's own, with its maps cast to half precision: for information.
    fixture_.expect("loss.total_half", met.total);
    met.total.backward();
    fixture_.expect("loss.gradnorm", gradient_norms(net, rows));
    const torch::NoGradGuard no_grad;
    std::vector<Tensor> apart = grids_;
    apart[1] = apart[1] + 1000;
    const Losses missed = losses(apart);
    fixture_.expect("loss_disjoint.terms",
                    torch::stack({missed.fine[0], missed.coarse, missed.total}));
  }

 private:
  objective::SamView view(const std::vector<Tensor>& grids, std::int64_t i) const {
    return objective::sam_view(maps_.fine_BCZYX[i], maps_.coarse_BCZYX[i],
                               grids[static_cast<std::size_t>(i)], valid_);
  }
  const Fixture& fixture_;
  const model::SamMaps& maps_;
  objective::SamLossPlan plan_;
  std::vector<Tensor> grids_;
  Tensor valid_;
};

void check_network(const Fixture& fixture) {
  const auto rows = fixture.rows();
  model::SamNet net(model::SamNetPlan{});
  EXPECT_TRUE(fill_module(net, rows).empty());
  net.eval();
  const Tensor image = input(0, fixture.config().at("img").get<std::vector<std::int64_t>>(), 0, 50);
  const model::SamStages stages = net.stages(image);
  fixture.expect("net.layer1", stages.c1);
  fixture.expect("net.layer2", stages.c2);
  fixture.expect("net.layer3", stages.c3);
  fixture.expect("net.layer4", stages.c4);
  const model::SamMaps raw = net.read_out(stages), maps = net.forward(image);
  fixture.expect("net.fine_raw", raw.fine_BCZYX);
  fixture.expect("net.coarse_raw", raw.coarse_BCZYX);
  fixture.expect("net.fine", maps.fine_BCZYX);
  fixture.expect("net.coarse", maps.coarse_BCZYX);
  LossCase(fixture, maps).check(net, rows);
}

Index3 index_of(const json& xyz) { return {xyz.at(0), xyz.at(1), xyz.at(2)}; }

class MatchCase {
 public:
  explicit MatchCase(const Fixture& fixture) : fixture_(fixture), c_(fixture.config().at("match")) {
    const auto sides = [&](const char* name) {
      return c_.at(name).get<std::vector<std::int64_t>>();
    };
    const Tensor fine = input(10, sides("fine")), coarse = input(11, sides("coarse"));
    query_ = embedding(fine, coarse);
    key_ = embedding(fine.roll({1, 2, -3}, {2, 3, 4}) + 0.4 * input(12, fine.sizes()),
                     coarse + 0.4 * input(13, coarse.sizes()));
    set_volume(query_, c_.at("norm_ratio_q"), c_.at("shape_q"));
    set_volume(key_, c_.at("norm_ratio_k"), c_.at("shape_k"));
  }

  void check() const {
    std::vector<Point3> points;
    for (const json& p : c_.at("points")) points.push_back({p.at(0), p.at(1), p.at(2)});
    const match::QueryVectors q = match::query_vectors(query_, points, match::Mode::Exact);
    fixture_.expect("match.fine_vec", q.fine_PC);
    fixture_.expect("match.coarse_vec", q.coarse_PC);
    const match::KeyField field(key_, match::Mode::Exact);
    const Tensor sims_PN = field.layers(q, field.coarse_field(q.coarse_PC), 0, field.cells().z);
    fixture_.expect("match.sim0",
                    sims_PN[0].view({field.cells().z, field.cells().y, field.cells().x}));
    fixture_.expect("match.top2", std::get<0>(sims_PN.topk(2, 1)));
    expect_points("match", match::match_points(query_, key_, points, match::Mode::Exact));
    expect_points("match_ens", match::match_points(query_, key_, points, match::Mode::Exact, 1));
    check_own_tools();
  }

 private:
  static match::Embedding embedding(const Tensor& fine_1CDHW, const Tensor& coarse_1CDHW) {
    match::Embedding e;
    e.volume_id = "golden";
    e.fine_CDHW = (fine_1CDHW / fine_1CDHW.norm(2, 1, true))[0];
    e.coarse_CDHW = (coarse_1CDHW / coarse_1CDHW.norm(2, 1, true))[0];
    e.sam_grid.spacing = {2, 2, 2};
    e.volume_grid.spacing = {2, 2, 2};
    return e;
  }
  static void set_volume(match::Embedding& e, const json& ratio, const json& shape) {
    e.volume_grid.size = {shape.at(1), shape.at(2), shape.at(3)};
    e.volume_grid.spacing = {2 * ratio.at(0).get<double>(), 2 * ratio.at(1).get<double>(),
                             2 * ratio.at(2).get<double>()};
  }
  // The reference bounds by n where ours bounds by n - 1 (D23): where the stored place lies outside
  // the key, ours has to lie on its last voxel.
  void expect_points(const std::string& name, const std::vector<match::Match>& found) const {
    const Tensor want = fixture_.at(name + ".xyz");
    const Index3 n = key_.volume_grid.size;
    std::vector<double> score;
    Tensor xyz = torch::empty({static_cast<std::int64_t>(found.size()), 3}, torch::kDouble);
    for (std::size_t i = 0; i < found.size(); ++i) {
      const std::array<double, 3> at{found[i].index.x, found[i].index.y, found[i].index.z};
      const std::array<std::int64_t, 3> sides{n.x, n.y, n.z};
      for (std::size_t a = 0; a < 3; ++a) {
        const auto row = static_cast<std::int64_t>(i), axis = static_cast<std::int64_t>(a);
        const auto side = static_cast<double>(sides[a]);
        const bool outside = want[row][axis].item<double>() >= side && at[a] == side - 1;
        xyz[row][axis] = outside ? want[row][axis].item<double>() : std::trunc(at[a]);
      }
      score.push_back(found[i].score);
    }
    fixture_.expect_differing(name + ".xyz", xyz, 0,
                              "D23: bounded by n - 1, compared as if bounded by n");
    fixture_.expect(name + ".score", doubles(score));
  }
  // Those of SAM's own repository: points and answers in the grid of the embedded image.
  void check_own_tools() const {
    match::Embedding query = query_, key = key_;
    query.volume_grid.spacing = key.volume_grid.spacing = {2, 2, 2};
    const json shape = c_.at("sam_imshape");
    key.volume_grid.size = {shape.at(2), shape.at(1), shape.at(0)};
    std::vector<Point3> points;
    for (const json& p : c_.at("sam_loc_points")) points.push_back({p.at(0), p.at(1), p.at(2)});
    std::vector<double> score;
    std::vector<Tensor> xyz;
    for (const auto& m : match::match_points(query, key, points, match::Mode::Image)) {
      xyz.push_back(torch::tensor({m.voxel.x, m.voxel.y, m.voxel.z}));
      score.push_back(m.score);
    }
    fixture_.expect("sam_loc.xyz", torch::stack(xyz));
    fixture_.expect("sam_loc.score", doubles(score));
    std::vector<Index3> cells;
    for (const json& p : c_.at("sam_multi_points")) cells.push_back(index_of(p));
    xyz.clear(), score.clear();
    for (const auto& m : match::match_cells(query, key, cells)) {
      xyz.push_back(torch::tensor({m.cell.x, m.cell.y, m.cell.z}));
      score.push_back(m.score);
    }
    fixture_.expect("sam_multi.xyz", torch::stack(xyz));
    fixture_.expect("sam_multi.score", doubles(score));
  }

  const Fixture& fixture_;
  json c_;
  match::Embedding query_, key_;
};

const RegisterKind registered({"SAM",
                               [](const Fixture& f) {
                                 return f.config().contains("train_cfg") &&
                                        f.config().contains("match");
                               },
                               [](const Fixture& f) {
                                 check_network(f);
                                 MatchCase(f).check();
                               }});

}  // namespace
}  // namespace homolog::golden
