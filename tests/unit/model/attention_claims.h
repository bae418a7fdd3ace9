// Window attention by its definition, in double and by autograd, and how far another result is off.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <string>
#include <vector>

namespace homolog::model {

struct AttentionCase {
  std::int64_t windows = 2, heads = 2, tokens = 64, channels = 8, mask_windows = 0;
  double spread = 1;  // deviation of q and k
};

// Arguments in float32 (q, k, v as slices of one projection, as networks have them), a mask as of
// shifted windows, and weights that make a loss of the result.
struct AttentionArguments {
  torch::Tensor qkv_WN3HD, bias_HNN, mask_VNN, weight_WNHD;

  explicit AttentionArguments(const AttentionCase& c)
      : qkv_WN3HD(torch::randn({c.windows, c.tokens, 3, c.heads, c.channels})),
        bias_HNN(torch::randn({c.heads, c.tokens, c.tokens})),
        weight_WNHD(torch::randn({c.windows, c.tokens, c.heads, c.channels})) {
    qkv_WN3HD.slice(2, 0, 2).mul_(c.spread);
    if (c.mask_windows == 0) return;
    const torch::Tensor region_VN = torch::randint(0, 3, {c.mask_windows, c.tokens});
    region_VN[0].fill_(1);  // a window that the mask leaves whole
    mask_VNN = (region_VN.unsqueeze(1) != region_VN.unsqueeze(2)).to(torch::kChar) * -100;
  }
  torch::Tensor q() const { return qkv_WN3HD.select(2, 0); }
  torch::Tensor k() const { return qkv_WN3HD.select(2, 1); }
  torch::Tensor v() const { return qkv_WN3HD.select(2, 2); }
};

// Result and gradients of q, k, v and bias, of sum(result * weight).
struct AttentionResults {
  std::vector<torch::Tensor> tensors;
  static constexpr const char* kNames[] = {"out", "dq", "dk", "dv", "dbias"};
};

inline AttentionResults defined_attention(const AttentionArguments& a) {
  std::vector<torch::Tensor> in;
  for (const torch::Tensor& x : {a.q(), a.k(), a.v(), a.bias_HNN})
    in.push_back(x.detach().to(torch::kDouble).requires_grad_());
  const double scale = 1 / std::sqrt(static_cast<double>(a.q().size(-1)));
  torch::Tensor score = in[0].transpose(1, 2).matmul(in[1].permute({0, 2, 3, 1})) * scale + in[3];
  if (a.mask_VNN.defined()) {
    const std::int64_t images = score.size(0) / a.mask_VNN.size(0);
    score = score + a.mask_VNN.to(torch::kDouble).repeat({images, 1, 1}).unsqueeze(1);
  }
  const torch::Tensor out = score.softmax(-1).matmul(in[2].transpose(1, 2)).transpose(1, 2);
  (out * a.weight_WNHD).sum().backward();
  return {{out.detach(), in[0].grad(), in[1].grad(), in[2].grad(), in[3].grad()}};
}

// Each tensor's largest error, as a part of its largest value, is below `tolerance`.
inline void expect_near(const AttentionResults& got, const AttentionResults& want,
                        double tolerance) {
  ASSERT_EQ(got.tensors.size(), want.tensors.size());
  for (std::size_t i = 0; i < want.tensors.size(); ++i) {
    ASSERT_EQ(got.tensors[i].sizes(), want.tensors[i].sizes());
    const double error =
        (got.tensors[i].to(torch::kDouble) - want.tensors[i]).abs().max().item<double>();
    EXPECT_LT(error, tolerance * want.tensors[i].abs().max().item<double>())
        << AttentionResults::kNames[i];
  }
}

}  // namespace homolog::model
