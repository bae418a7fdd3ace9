// CASA and the heads: both ways of attending are one, gradients equal differences through dropout
// and weight norm. Their numbers are in tests/golden.
#include "model/casa.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "model/head.h"
#include "tests/unit/model/finite_difference.h"

namespace homolog::model {
namespace {

torch::Tensor leaf(at::IntArrayRef shape) {
  return torch::randn(shape, torch::kDouble).requires_grad_();
}

Casa casa(double dropout, bool zeta) {
  torch::manual_seed(4);
  Casa made(CasaPlan{
      .width = 12, .heads = 2, .head_width = 4, .hidden = 20, .dropout = dropout, .zeta = zeta});
  made->to(torch::kDouble);
  return made;
}

TEST(Casa, KeepsAndStoresNoMapButComputesTheSame) {
  Casa keeps = casa(1e-12, true), stores_none = casa(0, true);  // drops nothing, by another way
  const RowDraws draws(3, {1, 2});
  const torch::Tensor query = leaf({2, 3, 12}), tokens = leaf({2, 5, 12});
  const auto run = [&](Casa& c) {
    return c->align(query, c->project_queries(query), tokens, &draws);
  };
  EXPECT_TRUE(torch::allclose(run(keeps), run(stores_none), 1e-9, 1e-9));
}

TEST(Casa, GradientsEqualDifferencesWithAndWithoutDropout) {
  for (const double dropout : {0.0, 0.3}) {
    for (const bool zeta : {false, true}) {
      SCOPED_TRACE(std::to_string(dropout) + (zeta ? " with zeta" : ""));
      Casa c = casa(dropout, zeta);
      const RowDraws draws(3, {1, 2});
      std::vector<torch::Tensor> inputs{leaf({2, 3, 12}), leaf({2, 5, 12})};
      const torch::Tensor weight = torch::randn({2, 3, 12}, torch::kDouble);
      const auto value = [&] {
        const torch::Tensor projected = c->project_queries(inputs[0]);
        return (c->align(inputs[0], projected, inputs[1], &draws) * weight).sum();
      };
      std::vector<torch::Tensor> all = inputs;
      for (const torch::Tensor& p : c->parameters()) all.push_back(p);
      expect_slope_of_differences(value, all);
    }
  }
}

TEST(ProjectionHead, GradientsEqualDifferencesThroughUnitVectorsAndGains) {
  torch::manual_seed(4);
  ProjectionHead head(HeadPlan{.encoder_channels = 6,
                               .decoder_channels = 5,
                               .hidden = 8,
                               .outputs = 9,
                               .bottleneck = 4,
                               .fixed_gain = false});
  head->to(torch::kDouble);
  const torch::Tensor cls = leaf({2, 6}), encoder = leaf({2, 3, 6}), decoder = leaf({2, 4, 5});
  const auto value = [&] {
    const Projections out = head(backbone::Features{cls, encoder, decoder, {}}, true);
    return out.cls_BD.pow(3).sum() + out.encoder_BLD.square().sum() + out.decoder_BLD.exp().sum();
  };
  std::vector<torch::Tensor> all{cls, encoder, decoder};
  for (const torch::Tensor& p : head->parameters()) all.push_back(p);
  expect_slope_of_differences(value, all);
}

}  // namespace
}  // namespace homolog::model
