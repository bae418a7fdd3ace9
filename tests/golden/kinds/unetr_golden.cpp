// MONAI's UNETR, by the sizes in the fixture's configuration.
#include <gtest/gtest.h>

#include <string>

#include "golden_kind.h"
#include "model/backbones/unetr.h"

namespace homolog::golden {
namespace {

bool is_unetr(const Fixture& fixture) {
  const nlohmann::json& config = fixture.config();
  return config.contains("monai") && config.contains("feature") && config.contains("hidden") &&
         config.contains("mlp");
}

model::unetr::Plan plan_of(const nlohmann::json& config) {
  model::unetr::Plan plan;
  plan.feature = config.at("feature");
  plan.outputs = config.at("out_ch");
  plan.res_block = config.value("res_block", true);
  plan.conv_block = config.value("conv_block", true);
  plan.encoder.inputs = config.value("in_ch", plan.encoder.inputs);
  plan.encoder.hidden = config.at("hidden");
  plan.encoder.mlp = config.at("mlp");
  plan.encoder.heads = config.at("heads");
  plan.encoder.qkv_bias = config.value("qkv_bias", false);
  plan.encoder.projection = config.value("proj", std::string("conv"));
  EXPECT_EQ(config.value("norm", std::string("instance")), "instance")
      << "homolog has no other norm here";
  return plan;
}

void check_unetr(const Fixture& fixture) {
  const nlohmann::json& img = fixture.config().at("img");
  backbone::Size3 crop{};
  if (img.is_array()) {
    crop = img.get<backbone::Size3>();
  } else {
    crop.fill(img.get<std::int64_t>());
  }
  model::unetr::Unetr network(plan_of(fixture.config()), crop);
  const auto rows = fixture.rows();
  EXPECT_TRUE(fill_module(network, rows).empty()) << "names that our UNETR lacks";
  network.eval();
  network.set_tap([&](const std::string& name, const torch::Tensor& value) {
    if (fixture.has("mod." + name)) fixture.expect("mod." + name, value);
  });
  const torch::Tensor image =
      input(0, fixture.config().at("input").get<std::vector<std::int64_t>>());
  const torch::Tensor out = network.run({image}, {}).reconstruction_B1XYZ;
  fixture.expect("out", out);
  const torch::Tensor loss = probe_loss({out});
  fixture.expect("loss", loss);
  loss.backward();
  fixture.expect("gradnorm", gradient_norms(network, rows));
}

const RegisterKind registered({"UNETR", is_unetr, check_unetr});

}  // namespace
}  // namespace homolog::golden
