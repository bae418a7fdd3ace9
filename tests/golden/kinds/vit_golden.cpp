// MONAI's ViT with or without a classification head, by the sizes in the fixture's configuration.
#include <gtest/gtest.h>

#include <string>

#include "golden_kind.h"
#include "model/backbones/vit.h"

namespace homolog::golden {
namespace {

backbone::Size3 sides(const nlohmann::json& value) {
  if (value.is_array()) return value.get<backbone::Size3>();
  const auto side = value.get<std::int64_t>();
  return {side, side, side};
}

bool is_vit(const Fixture& fixture) {
  const nlohmann::json& config = fixture.config();
  return config.contains("monai") && config.contains("patch") && config.contains("layers") &&
         config.contains("hidden") && config.contains("mlp") && !config.contains("feature");
}

model::vit::Plan plan_of(const nlohmann::json& config) {
  model::vit::Plan plan;
  model::TransformerPlan& encoder = plan.encoder;
  const backbone::Size3 patch = sides(config.at("patch"));
  EXPECT_TRUE(patch[0] == patch[1] && patch[1] == patch[2]) << "patches of unequal sides";
  encoder.patch = patch[0];
  encoder.inputs = config.value("in_ch", encoder.inputs);
  encoder.hidden = config.at("hidden");
  encoder.mlp = config.at("mlp");
  encoder.layers = config.at("layers");
  encoder.heads = config.at("heads");
  encoder.qkv_bias = config.value("qkv_bias", false);
  encoder.projection = config.value("proj", std::string("conv"));
  // "none" is a table that starts from zeros and is trained like any other.
  const std::string positions = config.value("pos", std::string("learnable"));
  encoder.positions = positions == "none" ? "learnable" : positions;
  EXPECT_NE(positions, "fourier") << "homolog has no such positions";
  if (config.value("classification", false)) {
    encoder.cls_token = true;
    plan.classes = config.value("num_classes", std::int64_t{2});
    plan.tanh = config.contains("post") ? config.at("post") == "Tanh" : true;
  }
  plan.decoder.width = 0;  // MONAI's network has none
  return plan;
}

void check_vit(const Fixture& fixture) {
  const model::vit::Plan plan = plan_of(fixture.config());
  model::vit::Vit network(plan, sides(fixture.config().at("img")));
  const auto rows = fixture.rows();
  EXPECT_TRUE(fill_module(network, rows).empty()) << "names that our ViT lacks";
  network.eval();
  network.set_tap([&](const std::string& name, const torch::Tensor& value) {
    const std::string tensor = name.starts_with("hidden.") ? name : "mod." + name;
    if (fixture.has(tensor)) fixture.expect(tensor, value);
  });
  const torch::Tensor image =
      input(0, fixture.config().at("input").get<std::vector<std::int64_t>>());
  const torch::Tensor out =
      plan.classes > 0
          ? network.classify(image)
          : network.run({image}, {.decoder = false, .reconstruction = false}).encoder_BLC;
  fixture.expect("out", out);
  const torch::Tensor loss = probe_loss({out});
  fixture.expect("loss", loss);
  loss.backward();
  fixture.expect("gradnorm", gradient_norms(network, rows));
}

const RegisterKind registered({"ViT", is_vit, check_vit});

}  // namespace
}  // namespace homolog::golden
