// Networks counted without values, against what torch's own counter and saved-tensor hooks say of
// the published networks, and against the same pass run for real.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/options.h"
#include "census/meta_kernels.h"
#include "census/operator_watch.h"
#include "census/step_census.h"
#include "model/backbone_entry.h"

namespace homolog::census {
namespace {

using backbone::Size3;

std::shared_ptr<backbone::Backbone> make(const std::string& name, const Size3& crop,
                                         const std::vector<std::string>& words = {}) {
  const auto factory = backbone::find(name).factory();
  Options options("test", "", "");
  factory->declare(options);
  std::vector<const char*> argv = {"test"};
  for (const std::string& w : words) argv.push_back(w.c_str());
  options.parse(static_cast<int>(argv.size()), argv.data());
  return factory->make(crop);
}

std::vector<torch::Tensor> tensors(const torch::nn::Module& module) {
  auto all = module.parameters();
  for (const auto& b : module.buffers()) all.push_back(b);
  return all;
}

struct Pass {
  double forward = 0, all = 0, saved = 0, peak = 0;  // GFLOP, GFLOP, GB, GB
};

Pass run(const std::shared_ptr<backbone::Backbone>& network, const Size3& crop,
         const torch::Device& device, backbone::Want want = {}) {
  if (device.is_meta()) to_meta(*network);
  const auto image =
      torch::zeros({1, 1, crop[0], crop[1], crop[2]}, torch::TensorOptions().device(device));
  auto kept = tensors(*network);
  kept.push_back(image);
  const Counted counted = count(device, kept, [&] {
    const backbone::Features f = network->run({.image_B1XYZ = image}, want);
    torch::Tensor sum = f.cls_BC.sum();
    if (want.decoder) sum = sum + f.decoder_BLC.sum();
    if (want.reconstruction) sum = sum + f.reconstruction_B1XYZ.sum();
    return sum;
  });
  Pass out;
  for (const auto& o : counted.operators) {
    out.all += o.flops / 1e9;
    if (o.pass != plan::Pass::Backward) out.forward += o.flops / 1e9;
  }
  out.saved = counted.saved / 1e9;
  out.peak = counted.peak / 1e9;
  return out;
}

double millions(const torch::nn::Module& network) {
  double sum = 0;
  for (const auto& p : network.parameters()) sum += static_cast<double>(p.numel()) / 1e6;
  return sum;
}

struct Anchor {
  const char* name;
  Size3 crop;
  std::vector<std::string> words;
  double forward, all;  // GFLOP, as torch.utils.flop_counter finds in their Python forms
};

TEST(Networks, ForwardPassesCostWhatTorchsCounterSaysOfThePublishedNetworks) {
  const std::vector<Anchor> anchors = {
      {"nnformer", {64, 64, 64}, {}, 25.2, 75.6},
      {"nnformer", {192, 192, 64}, {}, 227, 681},
      {"swin_unetr", {64, 64, 64}, {}, 193, 578},
      {"swin_unetr", {96, 96, 96}, {}, 636, 1905},
      {"swin_unetr", {96, 96, 96}, {"--model.swin_unetr.feature", "24"}, 165, 495},
  };
  const MetaKernels kernels;
  for (const Anchor& a : anchors) {
    const Pass p = run(make(a.name, a.crop, a.words), a.crop, torch::kMeta);
    EXPECT_NEAR(p.forward / a.forward, 1, 0.004) << a.name << " " << a.crop[0];
    // Backward of our attention makes the scores anew: a little more arithmetic.
    EXPECT_GT(p.all, a.all) << a.name << " " << a.crop[0];
    EXPECT_LT(p.all / a.all, 1.03) << a.name << " " << a.crop[0];
  }
}

TEST(Networks, AnEncoderAloneCostsWhatItsPublishedFormDoes) {
  const MetaKernels kernels;
  const Size3 crop{96, 96, 96};
  const Pass p = run(make("vit", crop), crop, torch::kMeta, {false, false});
  EXPECT_NEAR(p.forward / 39.8, 1, 0.01);
}

TEST(Networks, ParametersAreThePublishedOnesMillions) {
  // nnFormer's position table has a vector a token beyond the published network.
  const double table = 32 * 32 * 32 * 48 / 1e6;
  EXPECT_NEAR(millions(*make("nnformer", {64, 64, 64})) - table, 9.73, 0.01);
  EXPECT_NEAR(millions(*make("swin_unetr", {64, 64, 64})), 62.2, 0.05);
  EXPECT_NEAR(millions(*make("swin_unetr", {64, 64, 64}, {"--model.swin_unetr.feature", "24"})),
              15.7, 0.05);
}

struct Saving {
  const char* name;
  double saved, peak;  // at most, of what the network needs that keeps its activations
  double work;         // more than so many forward passes again
};

// The peak of the last three lies, at this crop, within one block of the decoder.
TEST(Networks, RecomputedBlocksHoldLessAndCostUpToOneForwardMore) {
  const MetaKernels kernels;
  const Size3 crop{64, 64, 64};
  for (const Saving& s : {Saving{"nnformer", 0.2, 0.4, 0.8}, Saving{"swin_unetr", 0.45, 0.6, 0.4},
                          Saving{"vit", 0.1, 1.001, 0.8}, Saving{"unetr", 0.45, 1.001, 0.7},
                          Saving{"resnet", 0.4, 1.001, 0.8}}) {
    SCOPED_TRACE(s.name);
    const Pass kept = run(make(s.name, crop), crop, torch::kMeta);
    const auto network = make(s.name, crop);
    network->set_activations(model::Activations::Recomputed);
    const Pass again = run(network, crop, torch::kMeta);
    EXPECT_LE(again.saved / kept.saved, s.saved);
    EXPECT_LE(again.peak / kept.peak, s.peak);
    EXPECT_NEAR(again.forward / kept.forward, 1, 1e-9);
    EXPECT_GT((again.all - kept.all) / kept.forward, s.work);
    EXPECT_LE((again.all - kept.all) / kept.forward, 1);
  }
}

TEST(Networks, WithoutValuesThePassIsTheOneThatRunsForReal) {
  const Size3 crop{64, 64, 64};
  const std::vector<std::string> small = {"--model.nnformer.embed", "12", "--model.nnformer.heads",
                                          "1,2,4,8"};
  const Pass real = run(make("nnformer", crop, small), crop, torch::kCPU);
  const MetaKernels kernels;
  const Pass ghost = run(make("nnformer", crop, small), crop, torch::kMeta);
  EXPECT_NEAR(ghost.forward / real.forward, 1, 1e-9);
  EXPECT_NEAR(ghost.all / real.all, 1, 1e-9);
  EXPECT_NEAR(ghost.saved / real.saved, 1, 0.1);  // masks as a GPU or a CPU keeps them, padded sums
}

}  // namespace
}  // namespace homolog::census
