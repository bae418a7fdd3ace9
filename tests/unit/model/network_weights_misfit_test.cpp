// Weights that are clearly a known network's and cannot be taken: the network is named, and what is
// in the way, and what helps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "model/parameter_names.h"
#include "model/weights/import_network.h"

namespace homolog::backbone {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

const std::map<std::string, Settings> kSmall = {
    {"nnformer", {{"model.nnformer.embed", "12"}, {"model.nnformer.heads", "1,2,4,8"}}},
    {"resnet", {{"model.resnet.depth", "10"}}},
    {"swin_unetr", {{"model.swin_unetr.feature", "12"}, {"model.swin_unetr.heads", "1,2,4,8"}}},
    {"unetr",
     {{"model.unetr.hidden", "64"}, {"model.unetr.mlp", "64"}, {"model.unetr.heads", "1"}}},
    {"vit", {{"model.vit.hidden", "64"}, {"model.vit.mlp", "64"}, {"model.vit.heads", "1"}}}};

model::ForeignWeights published(const std::string& name, const Settings& more = {}) {
  Settings options = kSmall.at(name);
  for (const auto& [key, value] : more) options[key] = value;
  const Built built = build(find(name), options, {64, 64, 64});
  model::ForeignWeights out{.container = "safetensors"};
  for (const auto& [key, tensor] : model::named_tensors(*built.network))
    if (!key.starts_with("pretrain_decoder.")) out.weights.tensors[key] = tensor.detach().clone();
  return out;
}

std::string refusal(const model::ForeignWeights& weights, const ImportPlan& plan = {}) {
  try {
    import_network(weights, plan, "w.pt");
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

// The first kernel with two channels, in two dimensions, and no cube.
TEST(NetworkWeights, ThatNearlyFitNameTheNetworkAndTheKernelInTheWay) {
  const std::map<std::string, std::string> kernels = {
      {"nnformer", "model_down.patch_embed.proj1.conv1.weight"},
      {"resnet", "conv1.weight"},
      {"swin_unetr", "swinViT.patch_embed.proj.weight"},
      {"unetr", "vit.patch_embedding.patch_embeddings.weight"},
      {"vit", "patch_embedding.patch_embeddings.weight"}};
  for (const auto& [network, kernel] : kernels) {
    model::ForeignWeights weights = published(network);
    torch::Tensor& tensor = weights.weights.tensors.at(kernel);
    const torch::Tensor whole = tensor;
    tensor = at::cat({whole, whole}, 1);
    const std::string channels = refusal(weights);
    EXPECT_THAT(channels, HasSubstr("w.pt looks like weights of " + network));
    EXPECT_THAT(channels, HasSubstr("2 input channels: " + kernel + " has shape " +
                                    c10::str(tensor.sizes()) + ", needs"));
    EXPECT_THAT(channels, HasSubstr("w.sum(1, keepdim=True)"));
    tensor = whole.select(4, 0);
    EXPECT_THAT(refusal(weights), HasSubstr("2-D convolutions: " + kernel)) << network;
    tensor = whole.slice(4, 0, 1);
    EXPECT_THAT(refusal(weights), HasSubstr("a kernel that is no cube: " + kernel)) << network;
    EXPECT_THAT(refusal(weights, {.backbone = network}), HasSubstr("no cube")) << "asked for";
  }
}

TEST(NetworkWeights, OfSwinUnetrWithOtherBlocksSayWhichTensorDiffers) {
  const std::string table = "swinViT.layers3.0.blocks.0.attn.relative_position_bias_table";
  model::ForeignWeights weights = published("swin_unetr");
  weights.weights.tensors[table] = torch::zeros({125, 4});
  EXPECT_THAT(refusal(weights), HasSubstr("windows that differ between stages: " + table +
                                          " is of windows of 3 tokens, the first stage's of 7"));
  weights.weights.tensors.erase(table);
  EXPECT_THAT(refusal(weights), HasSubstr("blocks without window attention are not supported"));
  weights = published("swin_unetr");
  weights.weights.tensors["swinViT.layers2.0.blocks.0.mlp.linear1.weight"] = torch::zeros({48, 24});
  EXPECT_THAT(refusal(weights), HasSubstr("mlp_ratio=4 alone"));
  weights = published("swin_unetr");
  weights.weights.tensors["encoder1.layer.norm1.weight"] = torch::ones({12});
  EXPECT_THAT(refusal(weights), HasSubstr("norm_name=\"instance\""));
}

TEST(NetworkWeights, OfResNetsThatAreNotHereSayWhatTheyHave) {
  model::ForeignWeights weights = published("resnet");
  weights.weights.tensors.erase("layer4.0.downsample.0.weight");
  EXPECT_THAT(refusal(weights), HasSubstr("shortcut_type=\"B\" alone"));
  weights = published("resnet");
  weights.weights.tensors["conv1.weight"] = torch::zeros({32, 1, 7, 7, 7});
  EXPECT_THAT(refusal(weights), AllOf(HasSubstr("conv1.weight has shape [32, 1, 7, 7, 7]"),
                                      HasSubstr("widen_factor=1")));
  weights = published("resnet");
  weights.weights.tensors["layer2.1.conv1.weight"] = torch::zeros({1});
  EXPECT_THAT(refusal(weights), HasSubstr("layers of 1,2,1,1 plain blocks"));
}

TEST(NetworkWeights, WithNegativeVariancesAreRefusedByName) {
  model::ForeignWeights weights = published("resnet");
  weights.weights.tensors.at("layer2.0.bn1.running_var")[3] = -0.5;
  EXPECT_THAT(refusal(weights), HasSubstr("layer2.0.bn1.running_var: holds negative variances"));
}

TEST(NetworkWeights, OfNoCubeAskForTheCrop) {
  for (const char* network : {"nnformer", "unetr", "vit"}) {
    model::ForeignWeights weights = published(network);
    for (auto& [key, tensor] : weights.weights.tensors)
      if (key.ends_with("position_embeddings") || key.ends_with("absolute_pos_embed"))
        tensor = at::cat({tensor, tensor}, 1);
    EXPECT_THAT(refusal(weights),
                testing::AllOf(HasSubstr("1 difference;"), HasSubstr("has shape [1, "),
                               HasSubstr("--crop X,Y,Z")));
    const ImportedNetwork taken = import_network(weights, {.crop = {64, 64, 128}}, "w.pt");
    EXPECT_EQ(taken.crop, (Size3{64, 64, 128})) << network;
    EXPECT_THAT(refusal(weights, {.crop = {64, 64, 96}}), HasSubstr("--crop X,Y,Z"));
  }
}

TEST(NetworkWeights, OfACubeOfTokensSayThatItIsAssumed) {
  model::ForeignWeights weights = published("unetr");  // 64 tokens: 4x4x4, or 2x4x8
  const auto assumed =
      AllOf(HasSubstr("64: taken for a cube, a crop of 64,64,64"), HasSubstr("--crop X,Y,Z"));
  EXPECT_THAT(import_network(weights, {}, "w.pt").weights.notes, Contains(assumed));
  const ImportedNetwork said = import_network(weights, {.crop = {32, 64, 128}}, "w.pt");
  EXPECT_EQ(said.crop, (Size3{32, 64, 128}));
  EXPECT_THAT(said.weights.notes, Not(Contains(assumed)));
  weights.weights.metadata["crop"] = "32,64,128";
  EXPECT_THAT(import_network(weights, {}, "w.pt").weights.notes, Not(Contains(assumed)));
}

TEST(NetworkWeights, WithATableThatIsNoSinesAreNotTakenForSines) {
  const Settings sines = {{"model.vit.positions", "sincos"}, {"model.vit.hidden", "60"}};
  const ImportPlan as_sines{.options = {{"model.vit.positions", "sincos"}}};
  const model::ForeignWeights trained = published("vit", {{"model.vit.hidden", "60"}});
  EXPECT_THAT(refusal(trained, as_sines),
              HasSubstr("patch_embedding.position_embeddings: is another table than the fixed "
                        "sines of this network (positions = sincos)"));
  const model::ForeignWeights fixed = published("vit", sines);
  EXPECT_EQ(import_network(fixed, as_sines, "w.pt").options.at("model.vit.positions"), "sincos");
  EXPECT_THAT(import_network(fixed, {}, "w.pt").weights.notes,
              Contains(HasSubstr("--set model.vit.positions=sincos keeps it fixed")));
  Settings options = kSmall.at("vit");
  for (const auto& [key, value] : sines) options[key] = value;
  const Built larger = build(find("vit"), options, {64, 96, 64});  // a run of another crop
  const NetworkWeights fitted = fit(*larger.network, fixed, "w", {.crop = {64, 96, 64}});
  const char* table = "patch_embedding.position_embeddings";
  EXPECT_TRUE(fitted.tensors.at(table).equal(larger.network->named_parameters()[table]));
  EXPECT_THROW(fit(*larger.network, trained, "w", {.crop = {64, 96, 64}}), Error);
}

TEST(NetworkWeights, OfNoPositionsSaySo) {
  model::ForeignWeights weights = published("vit");
  weights.weights.tensors.at("patch_embedding.position_embeddings").zero_();
  EXPECT_THAT(import_network(weights, {}, "w.pt").weights.notes,
              Contains(HasSubstr("pos_embed_type=\"none\"")));
}

TEST(NetworkWeights, WithoutRunningStatisticsAreNotSilentlyOfAnInstanceNorm) {
  const model::ForeignWeights weights = published("resnet", {{"model.resnet.norm", "instance"}});
  const auto group = HasSubstr("A group norm has the same shapes and is not supported");
  EXPECT_THAT(import_network(weights, {}, "w.pt").weights.notes, Contains(group));
  const ImportPlan said{.options = {{"model.resnet.norm", "instance"}}};
  EXPECT_THAT(import_network(weights, said, "w.pt").weights.notes, Not(Contains(group)));
  EXPECT_THAT(import_network(published("resnet"), {}, "w.pt").weights.notes, Not(Contains(group)));
}

TEST(NetworkWeights, TellWhatShapesOfOthersDoNot) {
  const auto note = HasSubstr("normalize and downsample");
  model::ForeignWeights weights = published("swin_unetr");
  EXPECT_THAT(import_network(weights, {}, "w.pt").weights.notes, Contains(note));
  weights.weights.metadata["options"] = R"({"model.swin_unetr.drop_path": "0.1"})";
  const ImportedNetwork own = import_network(weights, {}, "w.pt");
  EXPECT_THAT(own.weights.notes, Not(Contains(note))) << "homolog's own is built as homolog's";
  EXPECT_EQ(own.options.at("model.swin_unetr.drop_path"), "0.1");
}

TEST(NetworkWeights, OfAnEarlierVersionMayStateOptionsThatAreGone) {
  model::ForeignWeights weights = published("resnet");
  weights.weights.metadata["options"] = R"({"model.resnet.classes": "0"})";
  EXPECT_EQ(import_network(weights, {}, "w.pt").backbone, "resnet");
}

// A few numbers that claim a network of many, and metadata that claim a large one.
TEST(NetworkWeights, ThatOnlyClaimALargeNetworkAreRefusedBeforeItIsBuilt) {
  model::ForeignWeights weights = published("vit");
  for (auto& [key, tensor] : weights.weights.tensors)
    if (tensor.dim() > 1 && !key.ends_with("patch_embeddings.weight") &&
        !key.ends_with("position_embeddings"))
      tensor = torch::zeros({1, 1});
  auto& all = weights.weights.tensors;
  all["patch_embedding.patch_embeddings.weight"] = torch::zeros({100'000, 1, 1, 1, 1});
  all["patch_embedding.position_embeddings"] = torch::zeros({1, 1, 100'000});
  all["blocks.0.mlp.linear1.weight"] = torch::zeros({1, 100'000});
  EXPECT_THAT(refusal(weights), HasSubstr("most of it is missing"));
  weights = published("vit");
  weights.weights.metadata["options"] =
      R"({"model.vit.decoder_width": "1000000", "model.vit.decoder_heads": "1"})";
  EXPECT_EQ(import_network(weights, {}, "w.pt").options.at("model.vit.decoder_width"), "512");
  weights = published("nnformer");
  weights.weights.tensors.erase("model_down.absolute_pos_embed");
  weights.weights.metadata["crop"] = "32000,32000,32000";
  EXPECT_EQ(import_network(weights, {}, "w.pt").crop, Size3{}) << "the file's word alone";
}

TEST(NetworkWeights, OfATransformerAloneLeaveTheConvolutionsAsDrawn) {
  for (const char* network : {"swin_unetr", "unetr"}) {
    model::ForeignWeights weights = published(network);
    std::erase_if(weights.weights.tensors, [](const auto& item) {
      return !item.first.starts_with("swinViT.") && !item.first.starts_with("vit.");
    });
    const Built built = build(find(network), kSmall.at(network), {64, 64, 64});
    const NetworkWeights fitted = fit(*built.network, weights, "w", {.crop = {64, 64, 64}});
    EXPECT_EQ(fitted.tensors.size(), weights.weights.tensors.size());
    EXPECT_THAT(fitted.absent, Contains("decoder5.conv_block.conv1.conv.weight"));
    EXPECT_FALSE(fitted.whole);
    weights.weights.tensors["encoder1.layer.conv1.conv.weight"] = torch::zeros({1});
    EXPECT_THROW(fit(*built.network, weights, "w", {.crop = {64, 64, 64}}), Error)
        << "a part of the convolutions is not none of them";
  }
}

}  // namespace
}  // namespace homolog::backbone
