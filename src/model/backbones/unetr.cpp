// See unetr.h. Parts are not run when nobody wants them: the decoder ends at level 1 (1/8) without
// reconstruction, and does not begin without decoder tokens.
#include "model/backbones/unetr.h"

#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "model/backbone_entry.h"
#include "model/blocks/tokens.h"
#include "model/weights/unetr_names.h"

namespace homolog::model::unetr {

void declare(Options& o, Plan& p) {
  o.add("model.unetr.feature", p.feature, "channels at full resolution", {.min = 1});
  model::declare(o, p.encoder, "model.unetr");
  o.add("model.unetr.res_block", p.res_block, "convolution blocks add their input to their output");
  o.add("model.unetr.conv_block", p.conv_block,
        "each doubling of a skip is followed by such a block");
}

Unetr::Unetr(const Plan& plan, const backbone::Size3& crop)
    : plan_(plan),
      vit_(register_module("vit", std::make_shared<torch::nn::Module>("vit"))),
      encoder_(plan.encoder, crop, *vit_, "model.unetr") {
  const std::int64_t f = plan.feature, hidden = plan.encoder.hidden;
  const bool residual = plan.res_block;
  const auto skip = [&](std::int64_t out, std::int64_t doublings) {
    return UnetrPrUpBlock(hidden, out, doublings, plan.conv_block, residual);
  };
  encoder1_ = register_module("encoder1", UnetrBasicBlock(plan.encoder.inputs, f, residual));
  encoder2_ = register_module("encoder2", skip(2 * f, 2));
  encoder3_ = register_module("encoder3", skip(4 * f, 1));
  encoder4_ = register_module("encoder4", skip(8 * f, 0));
  decoder5_ = register_module("decoder5", UnetrUpBlock(hidden, 8 * f, residual));
  decoder4_ = register_module("decoder4", UnetrUpBlock(8 * f, 4 * f, residual));
  decoder3_ = register_module("decoder3", UnetrUpBlock(4 * f, 2 * f, residual));
  decoder2_ = register_module("decoder2", UnetrUpBlock(2 * f, f, residual));
  out_ = register_module("out", UnetOutBlock(f, plan.outputs));
}

at::Tensor Unetr::seen(const std::string& name, const at::Tensor& value) const {
  show(name, value);
  return value;
}

Unetr::States Unetr::encode(const at::Tensor& image_B1XYZ, backbone::Features& out) {
  const backbone::Size3 grid = encoder_.grid(image_B1XYZ);
  States states;
  const auto keep = [&](std::int64_t block, const at::Tensor& tokens_BLC) {
    if (is_watched()) show("vit." + std::to_string(block + 1), tokens_BLC);
    if (block == 3) states.after3 = tokens_to_map(tokens_BLC, grid);
    if (block == 6) states.after6 = tokens_to_map(tokens_BLC, grid);
    if (block == 9) states.after9 = tokens_to_map(tokens_BLC, grid);
  };
  out.encoder_BLC = encoder_.encode(encoder_.embed(image_B1XYZ).contiguous(), keep, activations());
  show("vit.0", out.encoder_BLC);
  out.cls_BC = out.encoder_BLC.mean(1);
  states.last = tokens_to_map(out.encoder_BLC, grid);
  return states;
}

backbone::Features Unetr::run(const backbone::View& view, backbone::Want want) {
  const at::Tensor image_B1XYZ = view.seen_B1XYZ();
  backbone::Features out;
  const States states = encode(image_B1XYZ, out);
  if (!want.decoder && !want.reconstruction) return out;
  const at::Tensor skip8 = seen("encoder4", run_block(activations(), encoder4_, states.after9));
  const at::Tensor map8 = seen("decoder5", run_block(activations(), decoder5_, states.last, skip8));
  if (want.decoder) out.decoder_BLC = map_to_tokens(map8);
  if (!want.reconstruction) return out;
  const at::Tensor skip4 = seen("encoder3", run_block(activations(), encoder3_, states.after6));
  const at::Tensor map4 = seen("decoder4", run_block(activations(), decoder4_, map8, skip4));
  const at::Tensor skip2 = seen("encoder2", run_block(activations(), encoder2_, states.after3));
  const at::Tensor map2 = seen("decoder3", run_block(activations(), decoder3_, map4, skip2));
  const at::Tensor skip1 = seen("encoder1", run_block(activations(), encoder1_, image_B1XYZ));
  // Kept in any case: backward begins in it, so recomputing it would lower no peak.
  const at::Tensor map1 = seen("decoder2", decoder2_->forward(map2, skip1));
  out.reconstruction_B1XYZ = seen("out", out_(map1));
  return out;
}

backbone::FeatureSpec Unetr::spec() const {
  return {.encoder_channels = plan_.encoder.hidden, .decoder_channels = 8 * plan_.feature};
}

backbone::MonaiForm Unetr::monai() const {
  nlohmann::json arguments = encoder_.monai_arguments();
  arguments.update({{"out_channels", plan_.outputs},
                    {"feature_size", plan_.feature},
                    {"norm_name", "instance"},
                    {"conv_block", plan_.conv_block},
                    {"res_block", plan_.res_block}});
  return {.network = "UNETR", .arguments = arguments.dump(), .own = "pretrain_decoder."};
}

bool Unetr::is_encoder_parameter(const std::string& name) const {
  return !name.starts_with("out.");
}

bool Unetr::is_used(const std::string& name, backbone::Want want) const {
  if (name.starts_with("vit.")) return encoder_.is_used(name.substr(4));
  const bool level1 = name.starts_with("encoder4.") || name.starts_with("decoder5.");
  return want.reconstruction || (want.decoder && level1);
}

}  // namespace homolog::model::unetr

namespace homolog::backbone::unetr {
namespace {

class UnetrFactory final : public Factory {
 public:
  void declare(Options& options) override { model::unetr::declare(options, plan_); }
  std::shared_ptr<Backbone> make(const Size3& crop) const override {
    return std::make_shared<model::unetr::Unetr>(plan_, crop);
  }
  std::optional<Recognised> recognise(const NamedTensors& tensors) const override {
    return model::unetr::recognise(tensors);
  }

 private:
  model::unetr::Plan plan_;
};

}  // namespace

extern const Entry entry;
const Entry entry{"unetr",
                  "UNETR: a ViT with a convolutional decoder; crop sides are multiples of 16",
                  []() -> std::unique_ptr<Factory> { return std::make_unique<UnetrFactory>(); }};

}  // namespace homolog::backbone::unetr
