// A step recorded as a CUDA graph gives what the step itself gives, on a GPU.
#include <gtest/gtest.h>

#include "tests/gpu/on_gpu.h"
#include "tests/unit/train/pass_sides.h"

namespace homolog::train {
namespace {

using GradientPassGpu = OnGpu;

constexpr double kTolerance = 1e-4;  // libraries may choose other algorithms for the two

TEST_F(GradientPassGpu, ARecordedPassGivesWhatAPlainOneGives) {
  toy::expect_equal_steps({}, "nnformer", 1, torch::kCUDA, kTolerance);
}

TEST_F(GradientPassGpu, DrawsOfDropoutAndStochasticDepthAreThoseOfTheStep) {
  toy::expect_equal_steps({"objective.alice.casa_dropout=0.3", "model.nnformer.drop_path=0.4"},
                          "nnformer", 1, torch::kCUDA, kTolerance);
}

TEST_F(GradientPassGpu, AccumulatesMicroBatchesOfANetworkThatLeavesOutPatches) {
  toy::expect_equal_steps({}, "vit", 2, torch::kCUDA, kTolerance);
}

}  // namespace
}  // namespace homolog::train
