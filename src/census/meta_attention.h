// Fused attention on the meta device: what it keeps for backward, no table of scores.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace homolog::census {

// aten::scaled_dot_product_attention, without and with a backward pass.
at::Tensor attention_without_graph(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                   const std::optional<at::Tensor>& mask, double dropout,
                                   bool causal, std::optional<double> scale, bool gqa);
at::Tensor attention_with_graph(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                const std::optional<at::Tensor>& mask, double dropout, bool causal,
                                std::optional<double> scale, bool gqa);

}  // namespace homolog::census
