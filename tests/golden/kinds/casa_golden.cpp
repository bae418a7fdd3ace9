// CASA in the reference's form (one module, no zeta), both sides, for every size in the fixture.
#include "golden_kind.h"
#include "model/casa.h"

namespace homolog::golden {
namespace {

void check_case(const Fixture& fixture, const std::string& name, const nlohmann::json& c) {
  model::CasaPlan plan;
  plan.width = c.at("d_out");
  plan.heads = c.at("n_head");
  plan.head_width = c.at("d_k");
  plan.hidden = c.at("d_inner");
  plan.zeta = false;
  EXPECT_EQ(c.at("d_v"), c.at("d_k")) << "keys and values have one width";
  const std::int64_t batch = c.at("batch"), queries = c.at("Lq"), keys = c.at("Lk");
  const auto rows = fixture.rows(name);
  model::Casa casa(plan);
  for (const std::string& dead : fill_module(*casa, rows))
    EXPECT_TRUE(dead.starts_with("projection_")) << dead << " (the reference never calls those)";
  std::vector<torch::Tensor> in = {input(0, {batch, queries, plan.width}),
                                   input(1, {batch, keys, plan.width}),
                                   input(2, {batch, keys, plan.width})};
  for (auto& x : in) x.requires_grad_();
  const torch::Tensor projected = casa->project_queries(in[0]);
  const torch::Tensor student = casa->align(in[0], projected, in[1], nullptr);
  const torch::Tensor target = casa->align(in[0], projected, in[2], nullptr);
  fixture.expect(name + ".student_aligned", student);
  fixture.expect(name + ".teacher_aligned", target);
  const torch::Tensor loss = probe_loss({student, target});
  fixture.expect(name + ".loss", loss.reshape({1}));
  loss.backward();
  fixture.expect(name + ".gradnorm", gradient_norms(*casa, rows));
  std::vector<double> norms;
  for (const auto& x : in) norms.push_back(x.grad().to(torch::kDouble).norm().item<double>());
  fixture.expect(name + ".in_gradnorm", torch::tensor(norms, torch::kDouble));
}

bool is_casa(const Fixture& fixture) {
  if (fixture.config().empty()) return false;
  for (const auto& item : fixture.config().items()) {
    if (!item.value().is_object() || !item.value().contains("d_inner")) return false;
  }
  return true;
}

const RegisterKind registered({"CASA", is_casa, [](const Fixture& f) {
                                 for (const auto& [name, c] : f.config().items()) {
                                   SCOPED_TRACE(name);
                                   check_case(f, name, c);
                                 }
                               }});

}  // namespace
}  // namespace homolog::golden
