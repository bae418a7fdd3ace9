// MONAI's SwinUNETR: every child module's output, the loss and every gradient's norm. Keys that a
// configuration leaves out have MONAI's defaults.
#include <algorithm>

#include "base/error.h"
#include "golden_kind.h"
#include "model/backbones/swin_unetr.h"

namespace homolog::golden {
namespace {

bool is_swin_unetr(const Fixture& fixture) {
  if (!fixture.config().contains("input")) return false;
  try {
    const auto rows = fixture.rows();
    return std::any_of(rows.begin(), rows.end(), [](const auto& row) {
      return row.name == "swinViT.patch_embed.proj.weight";
    });
  } catch (const Error&) {  // no list of names
    return false;
  }
}

model::swin::Plan plan_of(const nlohmann::json& config) {
  model::swin::Plan plan;
  plan.feature = config.value("feature", std::int64_t{24});
  plan.depths = config.value("depths", plan.depths);
  plan.heads = config.value("heads", plan.heads);
  plan.window = config.value("window", plan.window);
  plan.use_v2 = config.value("use_v2", plan.use_v2);
  plan.inputs = config.at("in_ch").get<std::int64_t>();
  plan.outputs = config.at("out_ch").get<std::int64_t>();
  return plan;
}

void check_swin_unetr(const Fixture& fixture) {
  const auto shape = fixture.config().at("input").get<std::vector<std::int64_t>>();
  const auto rows = fixture.rows();
  model::swin::SwinUnetr network(plan_of(fixture.config()), {shape[2], shape[3], shape[4]});
  EXPECT_TRUE(fill_module(network, rows).empty()) << "names that our network lacks";
  network.eval();
  network.set_tap([&](const std::string& module, const torch::Tensor& value) {
    if (fixture.has("mod." + module)) fixture.expect("mod." + module, value);
  });
  const torch::Tensor out = network.run({input(0, shape)}, {}).reconstruction_B1XYZ;
  fixture.expect("out", out);
  const torch::Tensor loss = probe_loss({out});
  fixture.expect("loss", loss.reshape({1}));
  loss.backward();
  fixture.expect("gradnorm", gradient_norms(network, rows));
}

const RegisterKind registered{{"Swin UNETR", is_swin_unetr, check_swin_unetr}};

}  // namespace
}  // namespace homolog::golden
