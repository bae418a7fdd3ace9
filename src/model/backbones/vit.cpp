// See vit.h. Nobody wants the decoder in fine-tuning or on the target's side: it is not run there.
#include "model/backbones/vit.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/backbone_entry.h"
#include "model/weights/vit_names.h"

namespace homolog::model::vit {
namespace {

constexpr const char* kOwn = "pretrain_decoder.";

}  // namespace

void declare(Options& o, Plan& p) {
  o.add("model.vit.patch", p.encoder.patch, "side of a patch", {.min = 1, .unit = "voxels"});
  o.add("model.vit.layers", p.encoder.layers, "blocks of the encoder", {.min = 1, .max = 256});
  model::declare(o, p.encoder, "model.vit");
  o.add("model.vit.positions", p.encoder.positions,
        "position table: trained, or fixed sines and cosines",
        {.choices = {"learnable", "sincos"}});
  o.add("model.vit.cls_token", p.encoder.cls_token,
        "a class token stands for the volume, not the mean of its tokens");
  o.add("model.vit.decoder_width", p.decoder.width, "channels of the pre-training decoder",
        {.min = 6});
  o.add("model.vit.decoder_layers", p.decoder.layers, "blocks of the pre-training decoder",
        {.min = 1, .max = 256});
  o.add("model.vit.decoder_heads", p.decoder.heads, "attention heads of the pre-training decoder",
        {.min = 1});
}

Vit::Vit(const Plan& plan, const backbone::Size3& crop)
    : plan_(plan), encoder_(plan.encoder, crop, *this, "model.vit") {
  if (plan.classes > 0) {
    if (!plan.encoder.cls_token) {
      throw Error(Fault::Usage, "model.vit: a classification head needs a class token",
                  "set model.vit.cls_token = true");
    }
    torch::nn::Linear head(plan.encoder.hidden, plan.classes);
    if (plan.tanh) {
      auto stack = register_module("classification_head",
                                   std::make_shared<torch::nn::Module>("classification_head"));
      class_head_ = stack->register_module("0", head);
    } else {
      class_head_ = register_module("classification_head", head);
    }
  }
  if (plan.decoder.width > 0) {
    decoder_ = register_module("pretrain_decoder",
                               PatchDecoder(plan.decoder, plan.encoder.hidden, plan.encoder.patch));
  }
}

at::Tensor Vit::encode(const at::Tensor& tokens_BLC) {
  const at::Tensor encoded_BLC = encoder_.encode(
      tokens_BLC,
      [this](std::int64_t block, const at::Tensor& x_BLC) {
        if (is_watched()) show("hidden." + std::to_string(block), x_BLC);
      },
      activations());
  show("norm", encoded_BLC);
  return encoded_BLC;
}

backbone::Features Vit::run(const backbone::View& view, backbone::Want want) {
  const backbone::Size3 grid = encoder_.grid(view.image_B1XYZ);
  const VisiblePatches visible(view, grid, plan_.encoder.patch);
  const at::Tensor patches_BLC = encoder_.embed(view.image_B1XYZ);
  show("patch_embedding", patches_BLC);
  const at::Tensor encoded_BNC = encode(visible.pick(patches_BLC));

  const std::int64_t leading = plan_.encoder.cls_token ? 1 : 0;
  backbone::Features out;
  out.encoder_BLC = encoded_BNC.narrow(1, leading, encoded_BNC.size(1) - leading);
  out.cls_BC = leading > 0 ? encoded_BNC.select(1, 0) : encoded_BNC.mean(1);
  if (!want.decoder && !want.reconstruction) return out;
  if (decoder_.is_empty()) {
    throw Error(Fault::Usage, "vit: this network was built without its pre-training decoder");
  }
  const at::Tensor decoded_BLC = decoder_(encoded_BNC, leading, visible, grid, activations());
  if (want.decoder) out.decoder_BLC = decoded_BLC;
  if (want.reconstruction) out.reconstruction_B1XYZ = decoder_->predict(decoded_BLC, grid);
  return out;
}

at::Tensor Vit::classify(const at::Tensor& image_B1XYZ) {
  if (class_head_.is_empty()) {
    throw Error(Fault::Usage, "vit: this network was built without a classification head");
  }
  encoder_.grid(image_B1XYZ);  // refuses what patches do not tile
  const at::Tensor patches_BLC = encoder_.embed(image_B1XYZ);
  show("patch_embedding", patches_BLC);
  const at::Tensor scores_BK = class_head_(encode(patches_BLC).select(1, 0));
  const at::Tensor out_BK = plan_.tanh ? scores_BK.tanh() : scores_BK;
  show("classification_head", out_BK);
  return out_BK;
}

backbone::FeatureSpec Vit::spec() const {
  const std::int64_t patch = plan_.encoder.patch;
  return {.encoder_channels = plan_.encoder.hidden,
          .decoder_channels = plan_.decoder.width,
          .mask_cell = {patch, patch, patch},
          .drops_masked = true};
}

// MONAI's ViT has a class token only together with a classification head; where ours has none,
// its two weights are what a load of ours reports missing.
backbone::MonaiForm Vit::monai() const {
  nlohmann::json arguments = encoder_.monai_arguments();
  const std::int64_t patch = plan_.encoder.patch;
  arguments.update({{"patch_size", {patch, patch, patch}},
                    {"num_layers", plan_.encoder.layers},
                    {"pos_embed_type", plan_.encoder.positions},
                    {"classification", plan_.encoder.cls_token}});
  if (plan_.classes > 0) {
    arguments["num_classes"] = plan_.classes;
    arguments["post_activation"] = plan_.tanh ? "Tanh" : "None";
  }
  return {.network = "ViT", .arguments = arguments.dump(), .own = kOwn};
}

bool Vit::is_encoder_parameter(const std::string& name) const {
  return !name.starts_with(kOwn) && !name.starts_with("classification_head.");
}

bool Vit::is_used(const std::string& name, backbone::Want want) const {
  if (name.starts_with("classification_head.")) return false;
  if (name.starts_with("pretrain_decoder.prediction.")) return want.reconstruction;
  if (name.starts_with(kOwn)) return want.decoder || want.reconstruction;
  return encoder_.is_used(name);
}

}  // namespace homolog::model::vit

namespace homolog::backbone::vit {
namespace {

class VitFactory final : public Factory {
 public:
  void declare(Options& options) override { model::vit::declare(options, plan_); }
  std::shared_ptr<Backbone> make(const Size3& crop) const override {
    return std::make_shared<model::vit::Vit>(plan_, crop);
  }
  std::optional<Recognised> recognise(const NamedTensors& tensors) const override {
    return model::vit::recognise(tensors);
  }

 private:
  model::vit::Plan plan_;
};

}  // namespace

extern const Entry entry;
const Entry entry{"vit",
                  "ViT whose masked patches are left out, with MAE's decoder (method.md 3.7)",
                  []() -> std::unique_ptr<Factory> { return std::make_unique<VitFactory>(); }};

}  // namespace homolog::backbone::vit
