// See nnformer.h. Deeper parts are not run when nobody wants them: without reconstruction the
// decoder ends at level 1, without decoder tokens only the encoder runs.
#include "model/backbones/nnformer.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

#include "base/error.h"
#include "model/backbone_entry.h"
#include "model/parameter_names.h"
#include "model/weights/nnformer_names.h"

namespace homolog::model::nnformer {
namespace {

constexpr double kInitSigma = 0.02;
constexpr std::int64_t kDecoderBlocksPerLevel = 2;

Size3 grid_at(const Size3& crop, std::int64_t stage) {
  Size3 grid{};
  for (int a = 0; a < 3; ++a) grid[a] = crop[a] >> (stage + 1);
  return grid;
}

void check_sides(at::IntArrayRef sides) {
  for (const std::int64_t side : sides) {
    if (side >= 16 && side % 16 == 0) continue;
    throw Error(Fault::Usage,
                "nnformer: a crop side of " + std::to_string(side) + " voxels is no multiple of 16",
                "choose crop sides from 16, 32, 48, 64, ...");
  }
}

void check(const Plan& plan) {
  for (const auto* list : {&plan.depths, &plan.heads, &plan.windows}) {
    if (list->size() != kStages) {
      throw Error(Fault::Usage,
                  "model.nnformer.depths, heads and windows take 4 numbers each, one per stage");
    }
  }
  if (plan.embed % 2 != 0) throw Error(Fault::Usage, "model.nnformer.embed must be even");
  for (std::int64_t s = 0; s < kStages; ++s) {
    const std::int64_t heads = plan.heads[static_cast<std::size_t>(s)], channels = plan.embed << s;
    if (channels % heads != 0) {
      throw Error(Fault::Usage,
                  "model.nnformer.heads: " + std::to_string(heads) + " heads do not divide the " +
                      std::to_string(channels) + " channels of stage " + std::to_string(s),
                  "with embed 48 use 6,12,24,48, with embed 24 use 3,6,12,24");
    }
  }
}

// Encoder only: linear layers start from a narrow normal with zero bias (method.md 3.4).
void init_linears(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  for (auto& child : module.modules()) {
    if (auto* linear = child->as<torch::nn::Linear>()) {
      linear->weight.normal_(0, kInitSigma);
      if (linear->bias.defined()) linear->bias.zero_();
    }
  }
}

// Stochastic depth of one of `blocks` blocks, linear from 0 to that of the deepest.
double drop_at(double deepest, std::int64_t block, std::int64_t blocks) {
  return blocks > 1 ? deepest * static_cast<double>(block) / static_cast<double>(blocks - 1) : 0.0;
}

}  // namespace

void declare(Options& o, Plan& p) {
  o.add("model.nnformer.embed", p.embed, "channels after the patch embedding", {.min = 2});
  o.add("model.nnformer.depths", p.depths, "encoder blocks per stage", {.min = 1, .max = 64});
  o.add("model.nnformer.heads", p.heads, "attention heads per stage", {.min = 1});
  o.add("model.nnformer.windows", p.windows, "window side per stage",
        {.min = 1, .max = 16, .unit = "tokens"});
  o.add("model.nnformer.drop_path", p.drop_path, "stochastic depth of the deepest block",
        {.min = 0, .max = 0.99});
  o.add("model.nnformer.rel_index", p.rel_index,
        "relative-position rows: as the public nnFormer (offsets collide), or one each",
        {.choices = {"reference", "exact"}});
  o.add("model.nnformer.position", p.position,
        "position table: trained, or fixed at its random start (the reference never trains it)",
        {.choices = {"learned", "fixed"}});
}

NnFormer::NnFormer(const Plan& plan, const Size3& crop)
    : channels_(plan.embed), learns_positions_(plan.position == "learned") {
  check(plan);
  check_sides(crop);
  build_encoder(plan, crop);
  build_decoder(plan, crop);
}

void NnFormer::build_encoder(const Plan& plan, const Size3& crop) {
  auto encoder = register_module("model_down", std::make_shared<torch::nn::Module>("model_down"));
  table_grid_ = grid_at(crop, 0);
  const std::int64_t tokens = table_grid_[0] * table_grid_[1] * table_grid_[2];
  // Registered for exchange of weights only: masking is done on the image (D10).
  mask_token_ = encoder->register_parameter("mask_token", torch::zeros({1, 1, plan.embed}));
  position_1LC_ = encoder->register_parameter(
      "absolute_pos_embed", torch::empty({1, tokens, plan.embed}).normal_(0, kInitSigma),
      /*requires_grad=*/learns_positions_);
  patch_embed_ = encoder->register_module("patch_embed", PatchEmbed(plan.embed));
  auto layers = encoder->register_module("layers", torch::nn::ModuleList());
  std::int64_t total = 0;
  for (const std::int64_t depth : plan.depths) total += depth;
  for (std::int64_t s = 0, block = 0; s < kStages; ++s) {
    const auto at_s = static_cast<std::size_t>(s);
    auto layer = std::make_shared<torch::nn::Module>("layer");
    auto blocks = layer->register_module("blocks", torch::nn::ModuleList());
    Level stage;
    for (std::int64_t b = 0; b < plan.depths[at_s]; ++b, ++block) {
      stage.blocks.emplace_back(BlockPlan{.channels = plan.embed << s,
                                          .heads = plan.heads[at_s],
                                          .grid = grid_at(crop, s),
                                          .window = plan.windows[at_s],
                                          .shifted = b % 2 == 1,
                                          .exact_index = plan.rel_index == "exact"});
      blocks->push_back(stage.blocks.back().ptr());
      stage.keep.push_back(static_cast<std::int64_t>(drop_L_.size()));
      const double drop = drop_at(plan.drop_path, block, total);
      drop_L_.insert(drop_L_.end(), {drop, drop});
    }
    if (s + 1 < kStages) stage.down = layer->register_module("downsample", Down(plan.embed << s));
    layers->push_back(layer);
    stages_.push_back(stage);
  }
  for (std::int64_t s = 0; s < kStages; ++s) {
    stages_[static_cast<std::size_t>(s)].norm = encoder->register_module(
        "norm" + std::to_string(s),
        torch::nn::LayerNorm(torch::nn::LayerNormOptions({plan.embed << s}).eps(1e-5)));
  }
  init_linears(*encoder);
}

void NnFormer::build_decoder(const Plan& plan, const Size3& crop) {
  auto decoder = register_module("decoder", std::make_shared<torch::nn::Module>("decoder"));
  auto layers = decoder->register_module("layers", torch::nn::ModuleList());
  auto final = register_module("final", torch::nn::ModuleList());
  constexpr std::int64_t kLevels = kStages - 1;
  for (std::int64_t l = 0; l < kLevels; ++l) {  // l = 0 is the finest, as the public names count
    const auto at_l = static_cast<std::size_t>(l);
    auto layer = std::make_shared<torch::nn::Module>("layer");
    auto blocks = layer->register_module("blocks", torch::nn::ModuleList());
    Level level;
    for (int b = 0; b < kDecoderBlocksPerLevel; ++b) {
      level.blocks.emplace_back(BlockPlan{.channels = plan.embed << l,
                                          .heads = plan.heads[at_l],
                                          .grid = grid_at(crop, l),
                                          .window = plan.windows[at_l],
                                          .shifted = b == 1,
                                          .exact_index = plan.rel_index == "exact",
                                          .skip = b == 0});
      blocks->push_back(level.blocks.back().ptr());
      level.keep.push_back(static_cast<std::int64_t>(drop_L_.size()));
      const std::int64_t order = (kLevels - 1 - l) * 2 + b;  // deep levels come first
      const double drop = drop_at(plan.drop_path, order, kLevels * kDecoderBlocksPerLevel);
      drop_L_.insert(drop_L_.end(), {drop, drop});
    }
    level.up = layer->register_module("Upsample", Up(plan.embed << (l + 1)));
    layers->push_back(layer);
    levels_.push_back(level);
    auto head = std::make_shared<torch::nn::Module>("head");
    heads_.push_back(head->register_module(
        "up", torch::nn::ConvTranspose3d(
                  torch::nn::ConvTranspose3dOptions(plan.embed << l, 1, 2).stride(2))));
    final->push_back(head);
  }
}

at::Tensor NnFormer::embed(const at::Tensor& image_B1XYZ, Size3& grid) {
  for (int a = 0; a < 3; ++a) grid[a] = image_B1XYZ.size(a + 2) / 2;
  const at::Tensor tokens_BLC = run_block(activations(), patch_embed_, image_B1XYZ);
  show("patch_embed", tokens_to_map(tokens_BLC, grid));
  return tokens_BLC + resize_position_table(position_1LC_, table_grid_, grid);
}

at::Tensor NnFormer::transform(Level& level, std::size_t block, const at::Tensor& tokens_BLC,
                               const Size3& grid, const at::Tensor& keep_LB,
                               const at::Tensor& query_BLC, const at::Tensor& skip_BLC) {
  const auto keep_B = [&](std::int64_t branch) {
    return keep_LB.defined() ? keep_LB.select(0, level.keep[block] + branch) : at::Tensor();
  };
  return run_block(activations(), level.blocks[block], tokens_BLC, grid, keep_B(0), keep_B(1),
                   query_BLC, skip_BLC);
}

std::vector<at::Tensor> NnFormer::encode(const at::Tensor& image_B1XYZ, const at::Tensor& keep_LB,
                                         std::size_t first, std::vector<Size3>& grids) {
  Size3 grid{};
  at::Tensor tokens_BLC = embed(image_B1XYZ, grid);
  std::vector<at::Tensor> skips;
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    Level& stage = stages_[s];
    for (std::size_t b = 0; b < stage.blocks.size(); ++b) {
      tokens_BLC = transform(stage, b, tokens_BLC, grid, keep_LB);
      show("enc.layer" + std::to_string(s) + ".block" + std::to_string(b), tokens_BLC);
    }
    skips.push_back(s < first ? at::Tensor() : stage.norm(tokens_BLC));
    grids.push_back(grid);
    if (s >= first) show("enc.stage" + std::to_string(s), tokens_to_map(skips.back(), grid));
    if (!stage.down.is_empty()) {
      tokens_BLC = run_block(activations(), stage.down, tokens_BLC, grid);
      for (auto& side : grid) side /= 2;
    }
  }
  return skips;
}

at::Tensor NnFormer::decode_level(std::int64_t level, const at::Tensor& below_BLC,
                                  const Size3& below_grid, const at::Tensor& skip_BLC,
                                  const Size3& grid, const at::Tensor& keep_LB) {
  Level& l = levels_[static_cast<std::size_t>(level)];
  const at::Tensor up_BLC = run_block(activations(), l.up, below_BLC, below_grid);
  at::Tensor tokens_BLC = transform(l, 0, up_BLC + skip_BLC, grid, keep_LB, up_BLC, skip_BLC);
  tokens_BLC = transform(l, 1, tokens_BLC, grid, keep_LB);
  const std::string name =
      "dec.out" + std::to_string(static_cast<std::int64_t>(levels_.size()) - 1 - level);
  if (is_watched()) show(name, tokens_to_map(tokens_BLC, grid).permute({0, 2, 3, 4, 1}));
  return tokens_BLC;
}

backbone::Features NnFormer::run(const backbone::View& view, backbone::Want want) {
  const at::Tensor image_B1XYZ = view.seen_B1XYZ();
  check_sides(image_B1XYZ.sizes().slice(2));
  const bool drops =
      drops_paths() && std::any_of(drop_L_.begin(), drop_L_.end(), [](double p) { return p > 0; });
  const at::Tensor keep_LB =
      drops ? draws().keep_LB(drop_L_, image_B1XYZ.size(0), image_B1XYZ.device()) : at::Tensor();
  std::vector<Size3> grids;
  const std::size_t first = want.reconstruction ? 0 : want.decoder ? 2 : 3;
  const std::vector<at::Tensor> skips = encode(image_B1XYZ, keep_LB, first, grids);
  backbone::Features out;
  out.encoder_BLC = skips[3];
  out.cls_BC = skips[3].mean(1);
  if (!want.decoder && !want.reconstruction) return out;
  at::Tensor tokens_BLC = decode_level(2, skips[3], grids[3], skips[2], grids[2], keep_LB);
  if (want.decoder) out.decoder_BLC = tokens_BLC;
  if (!want.reconstruction) return out;
  tokens_BLC = decode_level(1, tokens_BLC, grids[2], skips[1], grids[1], keep_LB);
  tokens_BLC = decode_level(0, tokens_BLC, grids[1], skips[0], grids[0], keep_LB);
  out.reconstruction_B1XYZ = heads_[0](tokens_to_map(tokens_BLC, grids[0]));
  return out;
}

backbone::FeatureSpec NnFormer::spec() const {
  return {.encoder_channels = channels_ << 3, .decoder_channels = channels_ << 2};
}

bool NnFormer::is_encoder_parameter(const std::string& name) const {
  return !name.starts_with(
      "final.");  // the public export leaves out the output heads only (method.md 5)
}

bool NnFormer::is_used(const std::string& name, backbone::Want want) const {
  if (starts_with_any(name, {"model_down.mask_token", "final.1.", "final.2."})) return false;
  if (name == "model_down.absolute_pos_embed") return learns_positions_;
  const bool decoder = want.decoder || want.reconstruction;
  if (starts_with_any(name, {"decoder.layers.2.", "model_down.norm2."})) return decoder;
  if (starts_with_any(name, {"decoder.", "final.", "model_down.norm0.", "model_down.norm1."})) {
    return want.reconstruction;
  }
  return true;
}

}  // namespace homolog::model::nnformer

namespace homolog::backbone::nnformer {
namespace {

class NnFormerFactory final : public Factory {
 public:
  void declare(Options& options) override { model::nnformer::declare(options, plan_); }
  std::shared_ptr<Backbone> make(const Size3& crop) const override {
    return std::make_shared<model::nnformer::NnFormer>(plan_, crop);
  }
  std::optional<Recognised> recognise(const NamedTensors& tensors) const override {
    return model::nnformer::recognise(tensors);
  }

 private:
  model::nnformer::Plan plan_;
};

}  // namespace

extern const Entry entry;
const Entry entry{"nnformer",
                  "nnFormer with patch 2 (method.md 3.1-3.2); crop sides are multiples of 16",
                  []() -> std::unique_ptr<Factory> { return std::make_unique<NnFormerFactory>(); }};

}  // namespace homolog::backbone::nnformer
