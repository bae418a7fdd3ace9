// 3D ResNet's own: parameter counts, strides, refusals, recognition by names, statistics of the
// batch norm. The rest: every_backbone_test.
#include "model/backbones/resnet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <nlohmann/json.hpp>

#include "model/parameter_names.h"
#include "model/weights/resnet_names.h"
#include "tests/unit/model/backbone_claims.h"
#include "tests/unit/model/tiny_network.h"

namespace homolog::model::resnet {
namespace {

using backbone::tiny::count_parameters;

const backbone::Size3 kCrop{32, 16, 16};
const Plan kSmall{.depth = 10};

torch::Tensor image(std::int64_t rows) { return torch::rand({rows, 1, 32, 16, 16}); }

TEST(ResNet, HasMonaisParametersAtEachDepth) {  // counted in MONAI 1.6.1, feed_forward=False
  const std::map<std::int64_t, std::int64_t> counts{
      {10, 14'356'416}, {18, 33'160'896}, {34, 63'470'528}, {50, 46'158'912}, {101, 85'205'056}};
  for (const auto& [depth, parameters] : counts) {
    EXPECT_EQ(count_parameters(ResNet({.depth = depth}, kCrop), "pretrain_decoder."), parameters)
        << depth;
  }
  EXPECT_EQ(count_parameters(ResNet({.depth = 18, .classes = 3}, kCrop), "pretrain_decoder."),
            33'162'435);
}

TEST(ResNet, GivesQueriesAtASixteenthAndKeysAtAnEighth) {
  for (const std::int64_t depth : {18, 50}) {
    ResNet network({.depth = depth}, {48, 32, 16});
    network.eval();
    const torch::NoGradGuard no_grad;
    const auto out = network.run({torch::rand({1, 1, 48, 32, 16})}, {});
    const std::int64_t channels = depth == 18 ? 512 : 2048;
    EXPECT_EQ(out.encoder_BLC.sizes(), at::IntArrayRef({1, 3 * 2 * 1, channels}));
    EXPECT_EQ(out.decoder_BLC.sizes(), at::IntArrayRef({1, 6 * 4 * 2, 256}));
    EXPECT_TRUE(torch::allclose(out.cls_BC, out.encoder_BLC.mean(1), 1e-4, 1e-6));
  }
}

TEST(ResNet, AClassificationLayerIsCarriedAlongAndNotTrained) {
  ResNet network({.depth = 10, .classes = 2}, kCrop);
  for (const backbone::Want want : backbone::kEveryWant)
    backbone::expect_parts(network, {image(2)}, want);
}

TEST(ResNet, ExportsAllButItsDecoderAndTheClassificationLayer) {
  const ResNet network({.depth = 10, .classes = 2}, kCrop);
  for (const auto& [name, tensor] : named_tensors(network)) {
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
    auto tensors = named_tensors(ResNet(plan, kCrop));
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
  const auto why = [](const Plan& plan, const backbone::Size3& crop) {
    return backbone::tiny::refusal([&] { ResNet(plan, crop); });
  };
  EXPECT_THAT(why(kSmall, {16, 16, 16}), ::testing::HasSubstr("one voxel"));
  EXPECT_THAT(why({.depth = 20}, kCrop),
              ::testing::AllOf(::testing::HasSubstr("model.resnet.depth"),
                               ::testing::HasSubstr("10, 18, 34, 50, 101, 152, 200")));
}

}  // namespace
}  // namespace homolog::model::resnet
