// SAM's network, losses and matching against the reference's numbers (fixture f7).
#include <gtest/gtest.h>

#include "model/sam_net.h"
#include "objective/sam_loss.h"
#include "sharding/match/matcher.h"
#include "sharding/match/similarity.h"
#include "tests/golden/golden_fixture.h"

namespace homolog {
namespace {

using golden::Fixture;
using torch::Tensor;

// The network with the fixture's parameters and buffers, in eval mode; `rows`: their list.
std::shared_ptr<model::SamNet> filled_net(std::vector<golden::NamedEntry>& rows) {
  rows = golden::read_names(*golden::find_file("f7_sam.names.tsv"));
  auto net = std::make_shared<model::SamNet>(model::SamNetPlan{});
  golden::fill_module(*net, rows, [](const std::string& name) { return name; });
  const torch::NoGradGuard no_grad;
  auto buffers = net->named_buffers();
  std::size_t known = net->named_parameters().size();
  for (const auto& row : rows) {
    Tensor* buffer = buffers.find(row.name);
    if (buffer == nullptr) continue;
    ++known;
    if (row.kind != "int") buffer->copy_(golden::fill(row.k, row.shape, row.offset, row.amplitude));
  }
  EXPECT_EQ(known, rows.size()) << "names that the network lacks";
  EXPECT_EQ(known, net->named_parameters().size() + buffers.size());
  net->eval();
  return net;
}

objective::SamLossPlan fixture_plan(const nlohmann::json& c) {
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
  p.excluded = "zero";  // as the reference ranks them
  return p;
}

// Coordinates of one image: channels x, y, z in mm.
Tensor grid_3ZYX(const std::array<double, 3>& offset_yxz, std::int64_t z, std::int64_t y,
                 std::int64_t x) {
  const auto axis = [](std::int64_t n, double offset) {
    return torch::arange(n).to(torch::kFloat) * 2 + offset;
  };
  const auto mesh = torch::meshgrid(
      {axis(z, offset_yxz[2]), axis(y, offset_yxz[0]), axis(x, offset_yxz[1])}, "ij");
  return torch::stack({mesh[2], mesh[1], mesh[0]});
}

Tensor in_order(std::int64_t n, std::int64_t k) { return torch::arange(std::min(n, k)); }

struct Losses {
  std::vector<Tensor> fine;
  Tensor coarse;
};

Losses losses(const model::SamMaps& maps, const std::vector<Tensor>& grids,
              const objective::SamLossPlan& plan) {
  Tensor valid = torch::ones({1, 16, 64, 64});
  valid.slice(1, 0, 2).zero_();
  Losses out;
  out.coarse = torch::zeros({});
  for (std::int64_t pair = 0; pair < 2; ++pair) {
    const auto view = [&](std::int64_t i) {
      return objective::sam_view(maps.fine_BCZYX[i], maps.coarse_BCZYX[i],
                                 grids[static_cast<std::size_t>(i)], valid);
    };
    const auto one = view(2 * pair), two = view(2 * pair + 1);
    std::vector<Tensor> others;
    for (std::int64_t i = 0; i < 4; ++i) {
      if (i / 2 != pair) others.push_back(maps.coarse_BCZYX[i].flatten(1).t());
    }
    out.fine.push_back(objective::sam_fine_loss(one, two, plan, in_order));
    out.coarse =
        out.coarse + objective::sam_coarse_loss(one, two, torch::cat(others), plan, in_order) / 2;
  }
  return out;
}

class SamGolden : public ::testing::Test {
 protected:
  void SetUp() override {
    fixture_ = Fixture::open("f7_sam");
    if (!fixture_) GTEST_SKIP() << "f7_sam.safetensors not found: set HOMOLOG_GOLDENS";
  }
  std::optional<Fixture> fixture_;
};

TEST_F(SamGolden, NetworkGivesTheReferencesMaps) {
  std::vector<golden::NamedEntry> rows;
  const auto net = filled_net(rows);
  const torch::NoGradGuard no_grad;
  const Tensor image = golden::input(0, {4, 1, 16, 64, 64}, 0, 50);
  const model::SamStages stages = net->stages(image);
  fixture_->expect("net.layer1", stages.c1);
  fixture_->expect("net.layer2", stages.c2);
  fixture_->expect("net.layer3", stages.c3);
  fixture_->expect("net.layer4", stages.c4);
  const model::SamMaps raw = net->read_out(stages), maps = net->forward(image);
  fixture_->expect("net.fine_raw", raw.fine_BCZYX);
  fixture_->expect("net.coarse_raw", raw.coarse_BCZYX);
  fixture_->expect("net.fine", maps.fine_BCZYX);
  fixture_->expect("net.coarse", maps.coarse_BCZYX);
}

TEST_F(SamGolden, LossesAndGradientsAreTheReferences) {
  std::vector<golden::NamedEntry> rows;
  const auto net = filled_net(rows);
  const objective::SamLossPlan plan = fixture_plan(fixture_->config().at("train_cfg"));
  const model::SamMaps maps = net->forward(golden::input(0, {4, 1, 16, 64, 64}, 0, 50));
  std::vector<Tensor> grids;
  for (const std::array<double, 3>& offset :
       {std::array<double, 3>{0, 0, 0}, {6, -4, 8}, {0, 0, 0}, {-10, 12, 3}}) {
    grids.push_back(grid_3ZYX(offset, 16, 64, 64));
  }
  const Losses met = losses(maps, grids, plan);
  const Tensor total = (met.fine[0] + met.fine[1]) / 2 + met.coarse;
  fixture_->expect("loss.terms", torch::stack({met.fine[0], met.fine[1], met.coarse, total}));
  total.backward();
  std::vector<double> norms;
  std::vector<std::int64_t> picked;
  auto parameters = net->named_parameters();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (const Tensor* p = parameters.find(rows[i].name)) {
      norms.push_back(p->grad().to(torch::kDouble).norm().item<double>());
      picked.push_back(static_cast<std::int64_t>(i));
    }
  }
  fixture_->expect_picked("loss.gradnorm", torch::tensor(norms, torch::kDouble), picked);
  const torch::NoGradGuard no_grad;
  std::vector<Tensor> apart = grids;
  apart[1] = apart[1] + 1000;
  const Losses missed = losses(maps, apart, plan);
  fixture_->expect("loss_disjoint.terms",
                   torch::stack({missed.fine[0], missed.coarse,
                                 (missed.fine[0] + missed.fine[1]) / 2 + missed.coarse}));
}

Tensor unit(const Tensor& map_1CDHW) { return map_1CDHW / map_1CDHW.norm(2, 1, true); }

match::Embedding embedding(const Tensor& fine_1CDHW, const Tensor& coarse_1CDHW,
                           const nlohmann::json& ratio, const nlohmann::json& shape) {
  match::Embedding e;
  e.volume_id = "golden";
  e.fine_CDHW = unit(fine_1CDHW)[0];
  e.coarse_CDHW = unit(coarse_1CDHW)[0];
  e.sam_grid.spacing = {2, 2, 2};
  e.volume_grid.size = {shape.at(1), shape.at(2), shape.at(3)};
  e.volume_grid.spacing = {2 * ratio.at(0).get<double>(), 2 * ratio.at(1).get<double>(),
                           2 * ratio.at(2).get<double>()};
  return e;
}

TEST_F(SamGolden, ExactModeFindsTheReferencesPoints) {
  const nlohmann::json c = fixture_->config().at("match");
  const Tensor fine = golden::input(10, {1, 128, 8, 16, 18}),
               coarse = golden::input(11, {1, 128, 4, 4, 5});
  const auto query = embedding(fine, coarse, c.at("norm_ratio_q"), c.at("shape_q"));
  const auto key = embedding(
      fine.roll({1, 2, -3}, {2, 3, 4}) + 0.4 * golden::input(12, fine.sizes()),
      coarse + 0.4 * golden::input(13, coarse.sizes()), c.at("norm_ratio_k"), c.at("shape_k"));
  std::vector<Point3> points;
  for (const auto& p : c.at("points")) points.push_back({p.at(0), p.at(1), p.at(2)});
  const match::QueryVectors q = match::query_vectors(query, points, match::Mode::Exact);
  fixture_->expect("match.fine_vec", q.fine_PC);
  fixture_->expect("match.coarse_vec", q.coarse_PC);
  const match::KeyField field(key, match::Mode::Exact);
  fixture_->expect("match.sim0", field.layers(q, field.coarse_field(q.coarse_PC), 0, 8)[0]);
  std::vector<double> score;
  const auto found = match::match_points(query, key, points, match::Mode::Exact);
  for (std::size_t i = 0; i < found.size(); ++i) {
    score.push_back(found[i].score);
    const Tensor want = fixture_->at("match.xyz")[static_cast<std::int64_t>(i)];
    const auto inside = [&](int axis,
                            std::int64_t size) {  // the reference clamps to n, not n - 1 (D23)
      return std::min(want[axis].item<double>(), static_cast<double>(size - 1));
    };
    const Index3 n = key.volume_grid.size;
    EXPECT_DOUBLE_EQ(found[i].index.x, inside(0, n.x)) << "point " << i;
    EXPECT_DOUBLE_EQ(found[i].index.y, inside(1, n.y)) << "point " << i;
    EXPECT_DOUBLE_EQ(found[i].index.z, inside(2, n.z)) << "point " << i;
  }
  fixture_->expect("match.score", torch::tensor(score, torch::kDouble));
}

}  // namespace
}  // namespace homolog
