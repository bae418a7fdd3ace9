// Weights against a network: what fits is loaded, what may lack is told, the rest is listed.
#include "model/weights/network_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "model/weights/import_network.h"

namespace homolog::backbone {
namespace {

using testing::HasSubstr;

const Settings kSmall = {{"model.nnformer.embed", "12"}, {"model.nnformer.heads", "1,2,4,8"}};

Built small(const Size3& crop, const Settings& options = kSmall) {
  return build(find("nnformer"), options, crop);
}

model::ForeignWeights weights_of(const Backbone& network) {
  model::ForeignWeights out{.container = "safetensors"};
  for (const auto& item : network.named_parameters())
    out.weights.tensors[item.key()] = item.value().detach().clone();
  return out;
}

std::string refusal(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

TEST(NetworkWeights, ReadTheWholeNetworkFromItsShapes) {
  const Settings odd = {{"model.nnformer.embed", "24"},
                        {"model.nnformer.depths", "1,2,3,1"},
                        {"model.nnformer.heads", "3,6,12,24"},
                        {"model.nnformer.windows", "4,2,4,2"}};
  const Built built = small({32, 32, 32}, odd);
  const ImportedNetwork network = import_network(weights_of(*built.network), {}, "w.pt");
  EXPECT_EQ(network.backbone, "nnformer");
  EXPECT_EQ(network.crop, (Size3{32, 32, 32}));
  for (const auto& [key, value] : odd) EXPECT_EQ(network.options.at(key), value) << key;
  EXPECT_TRUE(network.weights.whole);
}

TEST(NetworkWeights, AreCopiedOnlyWhenAllOfThemFit) {
  const Built from = small({32, 32, 32}), to = small({32, 32, 32});
  model::ForeignWeights weights = weights_of(*from.network);
  load(*to.network, fit(*to.network, weights, "w", {.crop = {32, 32, 32}}));
  for (const auto& item : to.network->named_parameters())
    EXPECT_TRUE(item.value().equal(weights.weights.tensors.at(item.key()))) << item.key();
  weights.weights.tensors["model_down.norm1.weight"][0] = std::nan("");
  EXPECT_THAT(refusal([&] {
                fit(*to.network, weights, "w", {.crop = {32, 32, 32}});
              }),
              testing::AllOf(HasSubstr("model_down.norm1.weight: holds values that are not finite"),
                             HasSubstr("1 difference;"), HasSubstr("its training diverged"),
                             testing::Not(HasSubstr("its options"))));
}

TEST(NetworkWeights, OfAnotherWidthAreRefusedWithEveryShape) {
  const Built wide =
      small({32, 32, 32}, {{"model.nnformer.embed", "24"}, {"model.nnformer.heads", "1,2,4,8"}});
  const Built to = small({32, 32, 32});
  const std::string said = refusal([&] {
    fit(*to.network, weights_of(*wide.network), "w", {.crop = {32, 32, 32}});
  });
  EXPECT_THAT(said, HasSubstr("model_down.norm0.weight: has shape [24], needs [12]"));
  EXPECT_THAT(said, HasSubstr("decoder.layers.0.blocks.0.mlp.fc1.weight"));
}

TEST(NetworkWeights, LeaveHeadsOutAndKeepWhatPublishedFilesLack) {
  const Built from = small({32, 32, 32}), to = small({32, 32, 32});
  model::ForeignWeights weights = weights_of(*from.network);
  weights.weights.tensors.erase("model_down.absolute_pos_embed");  // D9
  weights.weights.tensors.erase("model_down.mask_token");
  weights.weights.tensors["final.0.up.weight"] = torch::zeros({12, 14, 2, 2, 2});
  weights.weights.tensors["blocks.0.cross_attn.qkv.weight"] = torch::zeros({3});  // MONAI 1.5
  const NetworkWeights fitted = fit(*to.network, weights, "w", {.crop = {32, 32, 32}});
  EXPECT_THAT(fitted.absent, testing::IsSupersetOf({"model_down.absolute_pos_embed",
                                                    "model_down.mask_token", "final.0.up.weight"}));
  EXPECT_THAT(fitted.left_out,
              testing::UnorderedElementsAre("final.0.up.weight", "blocks.0.cross_attn.qkv.weight"));
  EXPECT_FALSE(fitted.whole);
}

TEST(NetworkWeights, ThatBecomeInfiniteInTheNetworksTypeAreRefused) {
  const Built from = small({32, 32, 32}), to = small({32, 32, 32});
  model::ForeignWeights weights = weights_of(*from.network);
  torch::Tensor& norm = weights.weights.tensors.at("model_down.norm0.weight");
  norm = norm.detach().to(torch::kDouble).clone();
  norm[0] = 1e300;
  const std::string said = refusal([&] { fit(*to.network, weights, "w", {.crop = {32, 32, 32}}); });
  EXPECT_THAT(said, HasSubstr("model_down.norm0.weight: holds values that are not finite"));
}

TEST(NetworkWeights, OfAnotherGridWithAsManyTokensAreResampledToo) {
  const Built from = small({32, 32, 64}), to = small({64, 32, 32});
  model::ForeignWeights weights = weights_of(*from.network);
  const NetworkWeights as_it_is = fit(*to.network, weights, "w", {.crop = {64, 32, 32}});
  EXPECT_TRUE(as_it_is.resampled.empty()) << "a file that states no crop is taken as it is";
  EXPECT_THAT(as_it_is.notes, testing::Contains(HasSubstr("taken for a grid of 32,16,16")));
  weights.weights.metadata["trained.crop"] = "32x32x64";
  const FitRules refusing{.crop = {64, 32, 32}, .resample = false};
  refusal([&] { fit(*to.network, weights, "w", refusing); });
  const NetworkWeights fitted = fit(*to.network, weights, "w", {.crop = {64, 32, 32}});
  EXPECT_THAT(fitted.resampled, testing::ElementsAre(HasSubstr("16,16,32 to 32,16,16")));
  EXPECT_THAT(fitted.notes, testing::Not(testing::Contains(HasSubstr("taken for a grid"))));
}

TEST(NetworkWeights, OfAnotherCropHaveTheirPositionTableResampled) {
  const Built from = small({32, 32, 64}), to = small({48, 32, 32});
  model::ForeignWeights weights = weights_of(*from.network);
  weights.weights.metadata["trained.crop"] = "32x32x64";
  const NetworkWeights fitted = fit(*to.network, weights, "w", {.crop = {48, 32, 32}});
  EXPECT_THAT(fitted.resampled, testing::ElementsAre(HasSubstr("16,16,32 to 24,16,16")));
  const auto& table_1LC = fitted.tensors.at("model_down.absolute_pos_embed");
  EXPECT_EQ(table_1LC.size(1), 24 * 16 * 16);
  // Halved along the last axis: the first new token lies between the first two old ones; and along
  // the first axis it is before all others.
  const at::Tensor old = weights.weights.tensors.at("model_down.absolute_pos_embed");
  EXPECT_TRUE(table_1LC[0][0].allclose((old[0][0] + old[0][1]) / 2, 1e-5, 1e-6));
  refusal([&] { fit(*to.network, weights, "w", {.crop = {48, 32, 32}, .resample = false}); });
}

TEST(NetworkWeights, OfACheckpointWithHeadsGiveTheBackboneAlone) {
  const Built from = small({32, 32, 32}), to = small({32, 32, 32});
  model::ForeignWeights weights{.container = "safetensors"};
  for (const auto& [name, tensor] : weights_of(*from.network).weights.tensors)
    weights.weights.tensors["backbone." + name] = tensor;
  weights.weights.tensors["head.mlp.0.weight"] = torch::zeros({2});
  const NetworkWeights fitted = fit(*to.network, weights, "w", {.crop = {32, 32, 32}});
  EXPECT_THAT(fitted.left_out, testing::ElementsAre("head.mlp.0.weight"));
  EXPECT_TRUE(fitted.whole);
}

}  // namespace
}  // namespace homolog::backbone
