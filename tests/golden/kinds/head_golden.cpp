// Projection heads: the three-output head of student and target, and the plain heads of the family
// (norms, depths, no bottleneck, trained gains), from the same module.
#include "golden_kind.h"
#include "model/head.h"

namespace homolog::golden {
namespace {

using nlohmann::json;

torch::Tensor input_norms(const std::vector<torch::Tensor>& inputs) {
  std::vector<double> norms;
  for (const auto& x : inputs) norms.push_back(x.grad().to(torch::kDouble).norm().item<double>());
  return torch::tensor(norms, torch::kDouble);
}

// Fixed gains get no gradient in the reference, although the fixture fills them.
void expect_gradients(const Fixture& fixture, const std::string& name,
                      const torch::nn::Module& head, const std::vector<NamedEntry>& rows,
                      const std::vector<torch::Tensor>& inputs) {
  fixture.expect(name + ".gradnorm", gradient_norms(head, rows));
  fixture.expect(name + ".in_gradnorm", input_norms(inputs));
}

void check_alice(const Fixture& fixture, const std::string& name, bool shared_last) {
  const json c = fixture.config().at("alice");
  const auto rows = fixture.rows(name);
  model::HeadPlan plan;
  plan.encoder_channels = c.at("in_dim");
  plan.outputs = c.at("out_dim");
  plan.hidden = c.at("hidden");
  plan.bottleneck = c.at("bottleneck");
  plan.layers = c.at("nlayers");
  plan.shared_last = shared_last;
  plan.decoder_channels = plan.encoder_channels / 2;
  EXPECT_EQ(c.at("patch_out_dim"), c.at("out_dim")) << "one width for both";
  model::ProjectionHead head(plan);
  EXPECT_TRUE(fill_module(*head, rows).empty());
  std::vector<torch::Tensor> in = {input(0, {2, plan.encoder_channels}),
                                   input(1, {2, plan.encoder_channels, 4, 4, 4}),
                                   input(2, {2, plan.decoder_channels, 8, 8, 8})};
  for (auto& x : in) x.requires_grad_();
  const auto tokens = [](const torch::Tensor& map) { return map.flatten(2).transpose(1, 2); };
  const model::Projections out = head->forward({.cls_BC = in[0],
                                                .encoder_BLC = tokens(in[1]),
                                                .decoder_BLC = tokens(in[2]),
                                                .reconstruction_B1XYZ = {}},
                                               true);
  fixture.expect(name + ".cls", out.cls_BD);
  fixture.expect(name + ".enc", out.encoder_BLD);
  fixture.expect(name + ".dec", out.decoder_BLD);
  const torch::Tensor loss = probe_loss({out.cls_BD, out.encoder_BLD, out.decoder_BLD});
  fixture.expect(name + ".loss", loss.reshape({1}));
  loss.backward();
  expect_gradients(fixture, name, *head, rows, in);
}

void check_plain(const Fixture& fixture, const std::string& name, const json& c) {
  const json dims = fixture.config().at("plain_dims");
  const auto rows = fixture.rows(name);
  model::HeadPlan plan;
  plan.encoder_channels = dims.at("in_dim");
  plan.outputs = dims.at("out_dim");
  plan.hidden = dims.at("hidden");
  plan.bottleneck = c.value("bottleneck_dim", dims.at("bottleneck").get<std::int64_t>());
  plan.layers = c.value("nlayers", std::int64_t{3});
  const std::string norm = c.at("norm").is_null() ? "" : c.at("norm").get<std::string>();
  plan.norm = norm == "bn" ? "batch" : norm == "ln" ? "layer" : "none";
  plan.activation = c.at("act");
  plan.fixed_gain = c.value("norm_last_layer", true);
  plan.tokens = false;
  model::ProjectionHead head(plan);
  EXPECT_TRUE(fill_module(*head, rows).empty());
  head->train(!name.ends_with("_eval"));
  torch::Tensor x = input(10, {dims.at("batch").get<std::int64_t>(), plan.encoder_channels});
  x.requires_grad_();
  backbone::Features features;
  features.cls_BC = x;
  const torch::Tensor out = head->forward(features, false).cls_BD;
  fixture.expect(name + ".out", out);
  const torch::Tensor loss = probe_loss({out});
  fixture.expect(name + ".loss", loss.reshape({1}));
  loss.backward();
  expect_gradients(fixture, name, *head, rows, {x});
}

const RegisterKind registered({"projection heads",
                               [](const Fixture& f) { return f.config().contains("plain_dims"); },
                               [](const Fixture& f) {
                                 check_alice(f, "student", false);
                                 check_alice(f, "teacher", true);
                                 for (const auto& [name, c] : f.config().at("plain").items()) {
                                   SCOPED_TRACE(name);
                                   check_plain(f, name, c);
                                 }
                               }});

}  // namespace
}  // namespace homolog::golden
