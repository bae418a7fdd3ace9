// See swin_unetr.h. Deeper parts are not run when nobody wants them: without reconstruction the
// decoder ends after its first level, without decoder tokens only the transformer runs.
#include "model/backbones/swin_unetr.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "model/backbone_entry.h"
#include "model/blocks/tokens.h"
#include "model/crop_text.h"
#include "model/parameter_names.h"
#include "model/weights/swin_unetr_names.h"

namespace homolog::model::swin {
namespace {

constexpr std::int64_t kPatch = 2, kCoarsest = 32;  // voxels a token, first and last
constexpr Groups kGroups = 8;  // of a group norm's channels, as users of MONAI choose

void check(const Plan& plan) {
  if (plan.depths.size() != kStages || plan.heads.size() != kStages) {
    throw Error(Fault::Usage,
                "model.swin_unetr.depths and heads take 4 numbers each, one per stage");
  }
  if (plan.feature % 12 != 0) {
    throw Error(Fault::Usage,
                "model.swin_unetr.feature: 12 does not divide " + std::to_string(plan.feature),
                "use 12, 24, 36, 48, ...");
  }
  if (plan.norm == "group" && plan.feature % kGroups != 0) {
    throw Error(Fault::Usage,
                "model.swin_unetr.norm=group: its 8 groups do not divide " +
                    std::to_string(plan.feature) + " channels",
                "set model.swin_unetr.feature to 24, 48, ...");
  }
  for (std::int64_t s = 0; s < kStages; ++s) {
    const std::int64_t heads = plan.heads[static_cast<std::size_t>(s)];
    if ((plan.feature << s) % heads != 0) {
      throw Error(Fault::Usage,
                  "model.swin_unetr.heads: " + std::to_string(heads) + " heads do not divide the " +
                      std::to_string(plan.feature << s) + " channels of stage " + std::to_string(s),
                  "3,6,12,24 suits every width");
    }
  }
}

Size3 sides_of(const at::Tensor& image_BCXYZ) {
  return {image_BCXYZ.size(2), image_BCXYZ.size(3), image_BCXYZ.size(4)};
}

}  // namespace

void declare(Options& o, Plan& p) {
  o.add("model.swin_unetr.feature", p.feature, "channels after the patch embedding, in twelves",
        {.min = 12});
  o.add("model.swin_unetr.depths", p.depths, "transformer blocks per stage", {.min = 1, .max = 64});
  o.add("model.swin_unetr.heads", p.heads, "attention heads per stage", {.min = 1});
  o.add("model.swin_unetr.window", p.window, "window side",
        {.min = 1, .max = 16, .unit = "tokens"});
  o.add("model.swin_unetr.use_v2", p.use_v2,
        "a residual convolution block before each stage (Swin UNETR v2)");
  o.add("model.swin_unetr.norm", p.norm,
        "of the convolutions: instance, or group (8 groups, with weights), which takes crops of 32",
        {.choices = {"instance", "group"}});
  o.add("model.swin_unetr.drop_path", p.drop_path, "stochastic depth of the deepest block",
        {.min = 0, .max = 0.99});
}

void SwinUnetr::check_sides(const Size3& sides) const {
  const std::string given = backbone::crop_text(sides, 'x');
  const auto fits = [](std::int64_t side) { return side > 0 && side % kCoarsest == 0; };
  if (!std::all_of(sides.begin(), sides.end(), fits)) {
    throw Error(
        Fault::Usage,
        "swin_unetr: of " + given + " voxels a side is no multiple of " + std::to_string(kCoarsest),
        "choose crop sides from 32, 64, 96, 128, ...");
  }
  if (plan_.norm == "instance" && *std::max_element(sides.begin(), sides.end()) == kCoarsest) {
    throw Error(Fault::Usage,
                "swin_unetr: " + given +
                    " voxels leave a deepest map of one voxel, which an "
                    "instance norm cannot take",
                "choose one side of the crop as 64 or more, or model.swin_unetr.norm=group");
  }
}

Groups SwinUnetr::groups() const { return plan_.norm == "group" ? kGroups : 0; }

SwinUnetr::SwinUnetr(const Plan& plan, const Size3& crop) : plan_(plan) {
  check(plan);
  check_sides(crop);
  build_transformer();
  build_convolutions();
}

void SwinUnetr::build_transformer() {
  auto swin = register_module("swinViT", std::make_shared<torch::nn::Module>("swinViT"));
  auto embed = swin->register_module("patch_embed", std::make_shared<torch::nn::Module>("embed"));
  patch_embed_ = embed->register_module(
      "proj", torch::nn::Conv3d(
                  torch::nn::Conv3dOptions(plan_.inputs, plan_.feature, kPatch).stride(kPatch)));
  for (std::int64_t s = 0; s < kStages; ++s) {
    const auto at_s = static_cast<std::size_t>(s);
    const std::int64_t channels = plan_.feature << s;
    const std::string name = "layers" + std::to_string(s + 1);
    stages_.emplace_back(StagePlan{.channels = channels,
                                   .depth = plan_.depths[at_s],
                                   .heads = plan_.heads[at_s],
                                   .window = plan_.window});
    swin->register_module(name, torch::nn::ModuleList())->push_back(stages_.back());
    if (!plan_.use_v2) continue;
    before_.emplace_back(channels, channels);
    swin->register_module(name + "c", torch::nn::ModuleList())->push_back(before_.back());
  }
  const std::int64_t blocks = std::accumulate(plan_.depths.begin(), plan_.depths.end(), 0LL);
  for (std::int64_t b = 0; b < blocks; ++b) {
    const double share = blocks > 1 ? static_cast<double>(b) / static_cast<double>(blocks - 1) : 0;
    drop_L_.insert(drop_L_.end(), 2, plan_.drop_path * share);
  }
}

void SwinUnetr::build_convolutions() {
  const std::int64_t f = plan_.feature;
  image_encoder_ = register_module("encoder1", UnetrBasicBlock(plan_.inputs, f, true, groups()));
  for (std::int64_t s = 0; s < 3; ++s) {
    skip_encoders_.push_back(register_module("encoder" + std::to_string(s + 2),
                                             UnetrBasicBlock(f << s, f << s, true, groups())));
  }
  deep_encoder_ = register_module("encoder10", UnetrBasicBlock(f << 4, f << 4, true, groups()));
  for (std::int64_t s = 4; s >= 0; --s) {
    decoders_.push_back(
        register_module("decoder" + std::to_string(s + 1),
                        UnetrUpBlock(f << s, s > 0 ? f << (s - 1) : f, true, groups())));
  }
  out_ = register_module("out", UnetOutBlock(f, plan_.outputs));
}

std::vector<SwinUnetr::Hidden> SwinUnetr::encode(const at::Tensor& image_BCXYZ,
                                                 const at::Tensor& keep_LB) {
  Size3 grid = sides_of(image_BCXYZ);
  for (auto& side : grid) side /= kPatch;
  std::vector<Hidden> hidden{{map_to_tokens(patch_embed_(image_BCXYZ)), grid}};
  std::int64_t row = 0;
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    at::Tensor tokens_BLC = hidden.back().tokens_BLC;
    if (plan_.use_v2)
      tokens_BLC =
          map_to_tokens(run_block(activations(), before_[s], tokens_to_map(tokens_BLC, grid)));
    const std::int64_t rows = 2 * plan_.depths[s];
    tokens_BLC =
        stages_[s](tokens_BLC, grid,
                   keep_LB.defined() ? keep_LB.narrow(0, row, rows) : at::Tensor(), activations());
    row += rows;
    for (auto& side : grid) side /= 2;
    hidden.push_back({tokens_BLC, grid});
  }
  return hidden;
}

at::Tensor SwinUnetr::normed_map(const std::vector<Hidden>& hidden, std::size_t level) const {
  const at::Tensor map_BCXYZ =
      tokens_to_map(plain_norm(hidden[level].tokens_BLC), hidden[level].grid);
  show("swinViT." + std::to_string(level), map_BCXYZ);
  return map_BCXYZ;
}

at::Tensor SwinUnetr::reconstruct(const at::Tensor& image_BCXYZ, const std::vector<Hidden>& hidden,
                                  at::Tensor decoded_BCXYZ) {
  for (std::size_t level = 3; level-- > 0;) {  // decoder4, 3, 2
    const at::Tensor skip_BCXYZ =
        run_block(activations(), skip_encoders_[level], normed_map(hidden, level));
    show("encoder" + std::to_string(level + 2), skip_BCXYZ);
    decoded_BCXYZ = run_block(activations(), decoders_[3 - level], decoded_BCXYZ, skip_BCXYZ);
    show("decoder" + std::to_string(level + 2), decoded_BCXYZ);
  }
  const at::Tensor image_skip_BCXYZ = run_block(activations(), image_encoder_, image_BCXYZ);
  show("encoder1", image_skip_BCXYZ);
  // Kept in any case: backward begins in it, so recomputing it would lower no peak.
  decoded_BCXYZ = decoders_[4]->forward(decoded_BCXYZ, image_skip_BCXYZ);
  show("decoder1", decoded_BCXYZ);
  const at::Tensor out_BCXYZ = out_(decoded_BCXYZ);
  show("out", out_BCXYZ);
  return out_BCXYZ;
}

backbone::Features SwinUnetr::run(const backbone::View& view, backbone::Want want) {
  const at::Tensor image_BCXYZ = view.seen_B1XYZ();
  check_sides(sides_of(image_BCXYZ));
  const bool drops = drops_paths() && plan_.drop_path > 0;
  const at::Tensor keep_LB =
      drops ? draws().keep_LB(drop_L_, image_BCXYZ.size(0), image_BCXYZ.device()) : at::Tensor();
  const std::vector<Hidden> hidden = encode(image_BCXYZ, keep_LB);
  const at::Tensor deepest_BCXYZ = normed_map(hidden, 4);
  backbone::Features out;
  out.encoder_BLC = map_to_tokens(deepest_BCXYZ);
  out.cls_BC = out.encoder_BLC.mean(1);
  if (!want.decoder && !want.reconstruction) return out;
  const at::Tensor bottom_BCXYZ = run_block(activations(), deep_encoder_, deepest_BCXYZ);
  show("encoder10", bottom_BCXYZ);
  const at::Tensor decoded_BCXYZ =
      run_block(activations(), decoders_[0], bottom_BCXYZ, normed_map(hidden, 3));
  show("decoder5", decoded_BCXYZ);
  if (want.decoder) out.decoder_BLC = map_to_tokens(decoded_BCXYZ);
  if (!want.reconstruction) return out;
  out.reconstruction_B1XYZ = reconstruct(image_BCXYZ, hidden, decoded_BCXYZ);
  return out;
}

backbone::FeatureSpec SwinUnetr::spec() const {
  return {.encoder_channels = plan_.feature << 4, .decoder_channels = plan_.feature << 3};
}

backbone::MonaiForm SwinUnetr::monai() const {
  nlohmann::json arguments{{"in_channels", plan_.inputs},   {"out_channels", plan_.outputs},
                           {"feature_size", plan_.feature}, {"depths", plan_.depths},
                           {"num_heads", plan_.heads},      {"window_size", plan_.window},
                           {"use_v2", plan_.use_v2},        {"spatial_dims", 3}};
  if (groups() > 0) arguments["norm_name"] = {"group", {{"num_groups", groups()}}};
  return {.network = "SwinUNETR", .arguments = arguments.dump(), .own = ""};
}

bool SwinUnetr::is_encoder_parameter(const std::string& name) const {
  return !name.starts_with("out.");  // all that a segmentation network can start from
}

bool SwinUnetr::is_used(const std::string& name, backbone::Want want) const {
  if (name.starts_with("swinViT.")) return true;
  if (starts_with_any(name, {"encoder10.", "decoder5."})) {
    return want.decoder || want.reconstruction;
  }
  return want.reconstruction;
}

}  // namespace homolog::model::swin

namespace homolog::backbone::swin_unetr {
namespace {

class SwinUnetrFactory final : public Factory {
 public:
  void declare(Options& options) override { model::swin::declare(options, plan_); }
  std::shared_ptr<Backbone> make(const Size3& crop) const override {
    return std::make_shared<model::swin::SwinUnetr>(plan_, crop);
  }
  std::optional<Recognised> recognise(const NamedTensors& tensors) const override {
    return model::swin::recognise(tensors);
  }

 private:
  model::swin::Plan plan_;
};

}  // namespace

extern const Entry entry;
const Entry entry{
    "swin_unetr", "Swin UNETR, v1 or v2 blocks (MONAI's names); crop sides are multiples of 32",
    []() -> std::unique_ptr<Factory> { return std::make_unique<SwinUnetrFactory>(); }};

}  // namespace homolog::backbone::swin_unetr
