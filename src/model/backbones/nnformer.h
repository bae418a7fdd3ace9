// nnFormer encoder and decoder (method.md 3.1-3.4). Parameter names are those of the public state
// dict; the position table, random and unsaved there, is a trained parameter here, or fixed (D9).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/options.h"
#include "model/backbone.h"
#include "model/blocks/nnformer_blocks.h"
#include "model/blocks/position_table.h"

namespace homolog::model::nnformer {

constexpr std::int64_t kStages = 4;

struct Plan {
  std::int64_t embed = 48;                         // channels after the patch embedding
  std::vector<std::int64_t> depths{2, 2, 2, 2};    // encoder blocks per stage
  std::vector<std::int64_t> heads{6, 12, 24, 48};  // per stage; the decoder mirrors them
  std::vector<std::int64_t> windows{4, 4, 8, 4};
  double drop_path = 0.2;               // of the last block; linear from 0
  std::string rel_index = "reference";  // or "exact" (D32)
  std::string position = "learned";  // or "fixed": its random start, saved but never trained (D9)
};

void declare(Options& options, Plan& plan);  // "model.nnformer.*"

// Taps: "patch_embed", "enc.layer0.block1", "enc.stage2", "dec.out0".
class NnFormer final : public backbone::Backbone {
 public:
  // Throws Fault::Usage: crop sides that are no multiples of 16, lists that are not of length 4,
  // heads that do not divide the channels.
  NnFormer(const Plan& plan, const Size3& crop);

  backbone::Features run(const backbone::View& view, backbone::Want want) override;
  backbone::FeatureSpec spec() const override;
  bool is_encoder_parameter(const std::string& name) const override;
  bool is_used(const std::string& name, backbone::Want want) const override;
  std::map<std::string, Size3> position_tables() const override {
    return {{"model_down.absolute_pos_embed", table_grid_}};
  }

 private:
  struct Level {  // encoder stage or decoder level
    std::vector<Block> blocks;
    Down down{nullptr};
    Up up{nullptr};
    torch::nn::LayerNorm norm{nullptr};
    std::vector<std::int64_t> keep;  // rows of the stochastic-depth table, one per block
  };
  void build_encoder(const Plan& plan, const Size3& crop);
  void build_decoder(const Plan& plan, const Size3& crop);
  at::Tensor embed(const at::Tensor& image_B1XYZ, Size3& grid);
  // Normed outputs of the stages from `first` on; the ones before are undefined.
  std::vector<at::Tensor> encode(const at::Tensor& image_B1XYZ, const at::Tensor& keep_LB,
                                 std::size_t first, std::vector<Size3>& grids);
  // Through one block of a level; query and skip in its skip block alone.
  at::Tensor transform(Level& level, std::size_t block, const at::Tensor& tokens_BLC,
                       const Size3& grid, const at::Tensor& keep_LB,
                       const at::Tensor& query_BLC = {}, const at::Tensor& skip_BLC = {});
  at::Tensor decode_level(std::int64_t level, const at::Tensor& below_BLC, const Size3& below_grid,
                          const at::Tensor& skip_BLC, const Size3& grid, const at::Tensor& keep_LB);

  std::int64_t channels_;
  bool learns_positions_;
  Size3 table_grid_{};  // tokens that the position table was made for
  PatchEmbed patch_embed_{nullptr};
  at::Tensor mask_token_, position_1LC_;
  std::vector<Level> stages_;  // shallow to deep
  std::vector<Level> levels_;  // shallow to deep, as the public names count
  std::vector<torch::nn::ConvTranspose3d> heads_;
  std::vector<double> drop_L_;  // two entries a block: attention, MLP
};

using model::resize_position_table;

}  // namespace homolog::model::nnformer
