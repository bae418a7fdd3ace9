// Projection heads and CASA against the reference: outputs, loss, gradients (fixtures 2 and 3).
#include "golden_fixture.h"
#include "model/casa.h"
#include "model/head.h"

namespace homolog::golden {
namespace {

// Gradient norms in the order of the names file, -1 where none exists.
torch::Tensor gradient_norms(const torch::nn::Module& module, const std::vector<NamedEntry>& rows) {
  const auto parameters = module.named_parameters();
  torch::Tensor norms = torch::full({static_cast<std::int64_t>(rows.size())}, -1.0, torch::kDouble);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const torch::Tensor* parameter = parameters.find(rows[i].name);
    if (parameter == nullptr || !parameter->grad().defined()) continue;
    norms[static_cast<std::int64_t>(i)] =
        parameter->grad().to(torch::kDouble).norm().item<double>();
  }
  return norms;
}

torch::Tensor input_norms(const std::vector<torch::Tensor>& inputs) {
  std::vector<double> norms;
  for (const auto& x : inputs) norms.push_back(x.grad().to(torch::kDouble).norm().item<double>());
  return torch::tensor(norms, torch::kDouble);
}

void expect_casa(const std::string& name, const model::CasaPlan& plan, std::int64_t queries,
                 std::int64_t keys) {
  const auto fixture = Fixture::open("f2_casa");
  if (!fixture) GTEST_SKIP() << "NOT CHECKED: fixture f2_casa is missing (set HOMOLOG_GOLDENS)";
  const auto rows = read_names(*find_file("f2_casa." + name + ".names.tsv"));
  model::Casa casa(plan);
  const auto dead = fill_module(*casa, rows, [](const std::string& n) { return n; });
  EXPECT_EQ(dead.size(), 8u) << "the four projections that the reference never calls";
  std::vector<torch::Tensor> in = {input(0, {2, queries, plan.width}),
                                   input(1, {2, keys, plan.width}),
                                   input(2, {2, keys, plan.width})};
  for (auto& x : in) x.requires_grad_();
  const torch::Tensor projected = casa->project_queries(in[0]);
  const torch::Tensor student = casa->align(in[0], projected, in[1], nullptr);
  const torch::Tensor target = casa->align(in[0], projected, in[2], nullptr);
  fixture->expect(name + ".student_aligned", student);
  fixture->expect(name + ".teacher_aligned", target);
  const torch::Tensor loss = probe_loss({student, target});
  fixture->expect(name + ".loss", loss.reshape({1}));
  loss.backward();
  fixture->expect(name + ".gradnorm", gradient_norms(*casa, rows));
  fixture->expect(name + ".in_gradnorm", input_norms(in));
}

TEST(CasaGolden, DefaultSizesAgree) { expect_casa("default", {.zeta = false}, 64, 512); }

TEST(CasaGolden, SmallSizesAgree) {
  expect_casa("small", {.width = 32, .heads = 4, .head_width = 8, .hidden = 64, .zeta = false}, 27,
              64);
}

void expect_head(const std::string& name, bool shared_last) {
  const auto fixture = Fixture::open("f3_head");
  if (!fixture) GTEST_SKIP() << "NOT CHECKED: fixture f3_head is missing (set HOMOLOG_GOLDENS)";
  const auto rows = read_names(*find_file("f3_head." + name + ".names.tsv"));
  model::ProjectionHead head(model::HeadPlan{.shared_last = shared_last});
  EXPECT_TRUE(fill_module(*head, rows, [](const std::string& n) { return n; }).empty());
  std::vector<torch::Tensor> in = {input(0, {2, 384}), input(1, {2, 384, 4, 4, 4}),
                                   input(2, {2, 192, 8, 8, 8})};
  for (auto& x : in) x.requires_grad_();
  const auto tokens = [](const torch::Tensor& map) { return map.flatten(2).transpose(1, 2); };
  const model::Projections out = head->forward({.cls_BC = in[0],
                                                .encoder_BLC = tokens(in[1]),
                                                .decoder_BLC = tokens(in[2]),
                                                .reconstruction_B1XYZ = {}},
                                               true);
  fixture->expect(name + ".cls", out.cls_BD);
  fixture->expect(name + ".enc", out.encoder_BLD);
  fixture->expect(name + ".dec", out.decoder_BLD);
  const torch::Tensor loss = probe_loss({out.cls_BD, out.encoder_BLD, out.decoder_BLD});
  fixture->expect(name + ".loss", loss.reshape({1}));
  loss.backward();
  fixture->expect(name + ".gradnorm", gradient_norms(*head, rows));
  fixture->expect(name + ".in_gradnorm", input_norms(in));
}

TEST(HeadGolden, StudentAgrees) { expect_head("student", false); }
TEST(HeadGolden, TargetWithSharedLastLayerAgrees) { expect_head("teacher", true); }

TEST(FillFormula, GivesThePublishedExamples) {
  EXPECT_EQ(fill_unit(0, 0), 0.4915590188211094);
  EXPECT_EQ(fill_unit(1'000'000, 1), -0.6043250880328948);
  EXPECT_FLOAT_EQ(fill(7, {4}, 1.0, 0.2)[3].item<float>(), 0.9650707F);
}

}  // namespace
}  // namespace homolog::golden
