// Every kernel that this processor runs, against autograd of the definition in double.
#include <ATen/Parallel.h>

#include "model/attention/on_cpu.h"
#include "tests/unit/model/attention_claims.h"
#include "tests/unit/model/kernel_16_lanes.h"

namespace homolog::model::attention {
namespace {

std::vector<const Kernel*> kernels_here() {
  std::vector<const Kernel*> out = {&kBaselineKernel};
  if (kernel_here().lanes >= 8) out.insert(out.end(), {&kAvx2Kernel, &k16LanesOnAvx2});
  if (kernel_here().lanes == 16) out.push_back(&kAvx512Kernel);
  return out;
}

AttentionResults run(const AttentionArguments& a, const Kernel& kernel) {
  const auto mask =
      pack_mask(a.mask_VNN.defined() ? a.mask_VNN.to(torch::kFloat) : a.mask_VNN, kernel,
                /*with_keys=*/true);
  if (!mask) throw std::logic_error("the mask should fit into bits");
  const double scale = 1 / std::sqrt(static_cast<double>(a.q().size(-1)));
  const Inputs in{a.q(), a.k(), a.v(), a.bias_HNN, *mask, scale};
  const Outputs out = forward_on_cpu(in, /*with_softmax=*/true, kernel);
  const Gradients d = backward_on_cpu(in, out, a.weight_WNHD, kernel);
  return {{out.out_WNHD, d.q_WNHD, d.k_WNHD, d.v_WNHD, d.bias_HNN}};
}

void expect_definition(const AttentionCase& c, double tolerance) {
  torch::manual_seed(7);
  const AttentionArguments arguments(c);
  const AttentionResults want = defined_attention(arguments);
  for (const Kernel* kernel : kernels_here()) {
    SCOPED_TRACE(std::string(kernel->name) + ": " + std::to_string(c.tokens) + " tokens, " +
                 std::to_string(c.channels) + " channels, mask of " +
                 std::to_string(c.mask_windows));
    expect_near(run(arguments, *kernel), want, tolerance);
  }
}

TEST(AttentionKernels, EqualTheDefinitionForHeadsOf8To64Channels) {
  for (const std::int64_t channels : {8, 16, 24, 32, 48, 64}) {
    for (const std::int64_t masks : {0, 2})
      expect_definition({.tokens = 64, .channels = channels, .mask_windows = masks}, 4e-6);
  }
}

TEST(AttentionKernels, EqualTheDefinitionForHeadsOfOddSizes) {
  for (const std::int64_t channels : {1, 3, 10, 20, 40, 63})
    expect_definition({.tokens = 27, .channels = channels, .mask_windows = 2}, 4e-6);
}

TEST(AttentionKernels, EqualTheDefinitionForWindowsOfSides2To8) {
  for (const std::int64_t side : {2, 3, 4, 5, 6, 7, 8}) {
    for (const std::int64_t masks : {0, 2})
      expect_definition({.tokens = side * side * side, .mask_windows = masks}, 4e-6);
  }
}

TEST(AttentionKernels, EqualTheDefinitionWhereTheHeadDoesNotFillAPanel) {
  for (const std::int64_t channels : {16, 24})
    expect_definition({.tokens = 343, .channels = channels, .mask_windows = 2}, 4e-6);
}

TEST(AttentionKernels, EqualTheDefinitionForOneWindowAndManyHeads) {
  expect_definition({.windows = 1, .heads = 24, .tokens = 64}, 4e-6);
  expect_definition({.windows = 1, .heads = 5, .tokens = 216, .mask_windows = 1}, 4e-6);
}

TEST(AttentionKernels, EqualTheDefinitionForManyWindowsOfSeveralImages) {
  expect_definition({.windows = 40, .heads = 3, .tokens = 64, .mask_windows = 8}, 4e-6);
}

// The softmax is nearly a maximum there: scores deviate by 36.
TEST(AttentionKernels, StayNearTheDefinitionForLargeScores) {
  expect_definition({.tokens = 343, .mask_windows = 2, .spread = 6}, 6e-5);
}

TEST(AttentionKernels, AddTheSameBitsForAnyNumberOfThreads) {
  struct Threads {
    int before = at::get_num_threads();
    ~Threads() { at::set_num_threads(before); }
  } restore;
  for (const AttentionCase& c : {AttentionCase{.windows = 24, .heads = 3, .tokens = 125},
                                 AttentionCase{.windows = 6, .heads = 2, .tokens = 216}}) {
    const AttentionArguments arguments(c);
    at::set_num_threads(1);
    const AttentionResults one = run(arguments, kernel_here());
    for (const int threads : {2, 3}) {
      at::set_num_threads(threads);
      const AttentionResults several = run(arguments, kernel_here());
      for (std::size_t i = 0; i < one.tensors.size(); ++i) {
        EXPECT_TRUE(torch::equal(one.tensors[i], several.tensors[i]))
            << AttentionResults::kNames[i] << " with " << threads << " threads";
      }
    }
  }
}

TEST(AttentionKernels, HandOnWhatIsNotANumber) {
  AttentionArguments arguments({.tokens = 64});
  arguments.qkv_WN3HD[0][5][0][1][3] = std::nan("");  // in one query of one head
  for (const Kernel* kernel : kernels_here()) {
    SCOPED_TRACE(kernel->name);
    const AttentionResults got = run(arguments, *kernel);
    EXPECT_TRUE(got.tensors[0][0][5][1].isnan().all().item<bool>());
    EXPECT_EQ(got.tensors[0].isnan().sum().item<std::int64_t>(), 8);
    for (std::size_t i = 1; i < got.tensors.size(); ++i)
      EXPECT_TRUE(got.tensors[i].isnan().any().item<bool>()) << AttentionResults::kNames[i];
  }
}

TEST(MaskBits, HoldOneValueBesidesZeroAndNoOther) {
  const torch::Tensor mask = torch::zeros({2, 8, 8});
  EXPECT_FALSE(pack_mask(mask, kernel_here(), true)->any.defined()) << "nothing is masked";
  mask[1][2][3] = -50;
  EXPECT_EQ(pack_mask(mask, kernel_here(), true)->value, -50);
  mask[0][7][0] = -51;
  EXPECT_FALSE(pack_mask(mask, kernel_here(), true));
  mask[0][7][0] = std::nan("");
  EXPECT_FALSE(pack_mask(mask, kernel_here(), true));
}

}  // namespace
}  // namespace homolog::model::attention
