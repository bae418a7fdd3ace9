// 3D ResNet: parameter counts, shapes, parts that are not run, refusals, recognition by names,
// statistics of the batch norm.
#include "model/backbones/resnet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/weights/resnet_names.h"

namespace homolog::model::resnet {
namespace {

const backbone::Size3 kCrop{32, 16, 16};
const Plan kSmall{.depth = 10};

std::int64_t count(const torch::nn::Module& module, const std::string& without) {
  std::int64_t n = 0;
  for (const auto& item : module.named_parameters()) {
    if (!item.key().starts_with(without)) n += item.value().numel();
  }
  return n;
}

backbone::NamedTensors named(const torch::nn::Module& module) {
  backbone::NamedTensors out;
  for (const auto& item : module.named_parameters()) out.emplace(item.key(), item.value());
  for (const auto& item : module.named_buffers()) out.emplace(item.key(), item.value());
  return out;
}

torch::Tensor image(std::int64_t rows) { return torch::rand({rows, 1, 32, 16, 16}); }

TEST(ResNet, HasMonaisParametersAtEachDepth) {  // counted in MONAI 1.6.1, feed_forward=False
  const std::map<std::int64_t, std::int64_t> counts{
      {10, 14'356'416}, {18, 33'160'896}, {34, 63'470'528}, {50, 46'158'912}, {101, 85'205'056}};
  for (const auto& [depth, parameters] : counts) {
    EXPECT_EQ(count(ResNet({.depth = depth}, kCrop), "pretrain_decoder."), parameters) << depth;
  }
  EXPECT_EQ(count(ResNet({.depth = 18, .classes = 3}, kCrop), "pretrain_decoder."), 33'162'435);
}

TEST(ResNet, GivesItsMapsInTheEnginesShapes) {
  for (const std::int64_t depth : {18, 50}) {
    ResNet network({.depth = depth}, {48, 32, 16});
    network.eval();
    const torch::NoGradGuard no_grad;
    const auto out = network.run({torch::rand({1, 1, 48, 32, 16})}, {});
    const std::int64_t channels = depth == 18 ? 512 : 2048;
    EXPECT_EQ(out.cls_BC.sizes(), at::IntArrayRef({1, channels}));
    EXPECT_EQ(out.encoder_BLC.sizes(), at::IntArrayRef({1, 3 * 2 * 1, channels}));
    EXPECT_EQ(out.decoder_BLC.sizes(), at::IntArrayRef({1, 6 * 4 * 2, 256}));
    EXPECT_EQ(out.reconstruction_B1XYZ.sizes(), at::IntArrayRef({1, 1, 48, 32, 16}));
    EXPECT_TRUE(torch::allclose(out.cls_BC, out.encoder_BLC.mean(1), 1e-4, 1e-6));
    EXPECT_EQ(network.spec().encoder_channels, channels);
    EXPECT_EQ(network.spec().decoder_channels, 256);
  }
}

TEST(ResNet, GivesGradientsToExactlyTheParametersItCallsUsed) {
  for (const backbone::Want want :
       {backbone::Want{true, true}, {true, false}, {false, true}, {false, false}}) {
    ResNet network({.depth = 10, .classes = 2}, kCrop);
    const auto out = network.run({image(2)}, want);
    EXPECT_EQ(out.decoder_BLC.defined(), want.decoder);
    EXPECT_EQ(out.reconstruction_B1XYZ.defined(), want.reconstruction);
    torch::Tensor loss = out.cls_BC.square().sum();
    if (want.decoder) loss = loss + out.decoder_BLC.square().sum();
    if (want.reconstruction) loss = loss + out.reconstruction_B1XYZ.square().sum();
    loss.backward();
    for (const auto& item : network.named_parameters()) {
      EXPECT_EQ(item.value().grad().defined(), network.is_used(item.key(), want)) << item.key();
    }
  }
}

TEST(ResNet, ExportsAllButItsDecoderAndTheClassificationLayer) {
  const ResNet network({.depth = 10, .classes = 2}, kCrop);
  for (const auto& [name, tensor] : named(network)) {
    const bool own = name.starts_with("pretrain_decoder.") || name.starts_with("fc.");
    EXPECT_EQ(network.is_encoder_parameter(name), !own) << name;
  }
  const auto form = network.monai();
  EXPECT_EQ(form.network, "ResNet");
  EXPECT_EQ(form.own, "pretrain_decoder.");
  const auto arguments = nlohmann::json::parse(form.arguments);
  EXPECT_EQ(arguments["layers"], (std::vector<int>{1, 1, 1, 1}));
  EXPECT_EQ(arguments["num_classes"], 2);
  EXPECT_EQ(ResNet({.depth = 10, .norm = "instance"}, kCrop).monai().network, "");
}

TEST(ResNet, SeesMaskedVoxelsAsZeros) {
  ResNet network(kSmall, kCrop);
  network.eval();
  const torch::NoGradGuard no_grad;
  const torch::Tensor whole = image(1),
                      visible = (torch::rand({1, 1, 32, 16, 16}) > 0.5).to(torch::kFloat);
  const auto masked = network.run({whole, visible, 0.5}, {});
  EXPECT_TRUE(torch::equal(masked.cls_BC, network.run({whole * visible}, {}).cls_BC));
  EXPECT_FALSE(torch::equal(masked.cls_BC, network.run({whole}, {}).cls_BC));
}

TEST(ResNet, BatchNormLearnsItsStatisticsInTrainingAndUsesThemInEvaluation) {
  ResNet network(kSmall, kCrop);
  const auto mean = [&] { return network.named_buffers()["bn1.running_mean"].clone(); };
  const torch::Tensor before = mean(), rows = image(2);
  network.eval();
  const torch::Tensor alone = network.run({rows.slice(0, 0, 1)}, {}).cls_BC;
  EXPECT_TRUE(torch::equal(mean(), before));
  EXPECT_TRUE(torch::allclose(network.run({rows}, {}).cls_BC.slice(0, 0, 1), alone, 1e-4, 1e-5))
      << "in evaluation a row does not depend on the others";
  network.train();
  EXPECT_FALSE(torch::allclose(network.run({rows}, {}).cls_BC.slice(0, 0, 1), alone, 1e-2, 1e-2));
  EXPECT_FALSE(torch::equal(mean(), before));
  EXPECT_EQ(network.named_buffers()["bn1.num_batches_tracked"].item<std::int64_t>(), 1);
}

TEST(ResNet, InstanceNormKeepsRowsApartAndHasNoStatistics) {
  ResNet network({.depth = 10, .norm = "instance"}, kCrop);
  EXPECT_TRUE(network.buffers().empty());
  const torch::Tensor rows = image(2), others = at::cat({image(1), rows.slice(0, 1)});
  const torch::Tensor one = network.run({rows}, {}).cls_BC, two = network.run({others}, {}).cls_BC;
  EXPECT_TRUE(torch::allclose(one[1], two[1], 1e-4, 1e-5));
  EXPECT_FALSE(torch::allclose(one[0], two[0], 1e-2, 1e-2));
}

TEST(ResNet, IsRecognisedByTheNamesOfItsWeights) {
  for (const Plan& plan :
       {Plan{.depth = 10, .bias_downsample = false}, Plan{.depth = 18},
        Plan{.depth = 34, .norm = "instance"}, Plan{.depth = 50, .classes = 7}}) {
    auto tensors = named(ResNet(plan, kCrop));
    const auto found = recognise(tensors);
    ASSERT_TRUE(found.has_value()) << plan.depth;
    EXPECT_EQ(found->options.at("model.resnet.depth"), std::to_string(plan.depth));
    EXPECT_EQ(found->options.at("model.resnet.norm"), plan.norm);
    EXPECT_EQ(found->options.at("model.resnet.bias_downsample"),
              plan.bias_downsample ? "true" : "false");
    EXPECT_TRUE(found->misfits.empty());
    EXPECT_EQ(found->crop, (backbone::Size3{}));
    tensors.emplace("layer3." +
                        std::to_string(plan.depth == 10   ? 1
                                       : plan.depth == 18 ? 2
                                                          : 6) +
                        ".conv1.weight",
                    torch::zeros({1}));
    EXPECT_THAT(recognise(tensors)->misfits.at(0).what, ::testing::HasSubstr("the number of no"));
  }
  EXPECT_FALSE(recognise({{"conv1.weight", torch::zeros({1})}}).has_value());
}

TEST(ResNet, RefusesCropsAndDepthsThatItCannotTake) {
  const auto why = [](const Plan& plan, const backbone::Size3& crop) -> std::string {
    try {
      ResNet network(plan, crop);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage);
      return std::string(e.what()) + e.remedy();
    }
    return "";
  };
  EXPECT_THAT(why(kSmall, {40, 32, 32}), ::testing::HasSubstr("40 voxels is no multiple of 16"));
  EXPECT_THAT(why(kSmall, {32, 0, 32}), ::testing::HasSubstr("0 voxels"));
  EXPECT_THAT(why(kSmall, {16, 16, 16}), ::testing::HasSubstr("one voxel"));
  EXPECT_THAT(why({.depth = 20}, kCrop),
              ::testing::AllOf(::testing::HasSubstr("model.resnet.depth"),
                               ::testing::HasSubstr("10, 18, 34, 50, 101, 152, 200")));
}

}  // namespace
}  // namespace homolog::model::resnet
