// Sizes and options of SAM's network; its numbers are in tests/golden.
#include "model/sam_net.h"

#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"

namespace homolog::model {
namespace {

std::int64_t count(const torch::nn::Module& net) {
  std::int64_t n = 0;
  for (const auto& p : net.parameters()) n += p.numel();
  return n;
}

TEST(SamNet, HasThePublishedNumberOfParameters) {
  EXPECT_EQ(count(SamNet(SamNetPlan{})), 32832960);  // method.md 7.1
}

TEST(SamNet, CellsAreHalvesAndCoarseStrides) {
  const torch::NoGradGuard no_grad;
  for (const std::int64_t stride : {8, 16}) {
    SamNet net({.width = 2,
                .embedding = 6,
                .stem_kernel = {3, 5, 5},
                .coarse_stride = {4, stride, stride}});
    net.eval();
    const SamMaps even = net.forward(torch::randn({2, 1, 16, 48, 32}));
    EXPECT_EQ(even.fine_BCZYX.sizes(), (std::vector<std::int64_t>{2, 6, 8, 24, 16}));
    EXPECT_EQ(even.coarse_BCZYX.sizes(),
              (std::vector<std::int64_t>{2, 6, 4, 48 / stride, 32 / stride}));
    const SamMaps odd =
        net.forward(torch::randn({1, 1, 17, 49, 33}));  // z floors, y and x round up
    EXPECT_EQ(odd.fine_BCZYX.sizes(), (std::vector<std::int64_t>{1, 6, 8, 25, 17}));
    EXPECT_LT((odd.coarse_BCZYX.norm(2, 1) - 1).abs().max().item<double>(), 1e-5);
  }
}

TEST(SamNet, ImpossibleOptionsAreRefusedByKey) {
  for (const SamNetPlan& plan :
       {SamNetPlan{.stem_kernel = {3, 4, 4}}, SamNetPlan{.coarse_stride = {4, 12, 12}}}) {
    try {
      validate(plan);
      FAIL() << "no error";
    } catch (const Error& fault) {
      EXPECT_EQ(fault.fault(), Fault::Usage);
      EXPECT_NE(fault.summary().find("objective.sam."), std::string::npos);
    }
  }
}

TEST(SamNet, OptionsSurviveTheMetadata) {
  const SamNetPlan plan{
      .width = 8, .embedding = 32, .stem_kernel = {3, 5, 5}, .coarse_stride = {4, 8, 8}};
  auto metadata = to_metadata(plan);
  const SamNetPlan back = sam_plan_from_metadata(metadata, "file");
  EXPECT_EQ(back.width, 8);
  EXPECT_EQ(back.embedding, 32);
  EXPECT_EQ(back.stem_kernel, plan.stem_kernel);
  EXPECT_EQ(back.coarse_stride, plan.coarse_stride);
  metadata["sam.stem_kernel"] = "3,x,5";
  EXPECT_THROW(sam_plan_from_metadata(metadata, "file"), Error);
}

}  // namespace
}  // namespace homolog::model
