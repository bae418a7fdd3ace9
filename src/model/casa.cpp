// See casa.h. Without dropout the attention map is never stored: the library's fused attention
// serves.
#include "model/casa.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "model/precision.h"

namespace homolog::model {
namespace {

torch::nn::Linear linear(std::int64_t in, std::int64_t out, bool bias) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(bias));
}

torch::nn::LayerNorm layer_norm(std::int64_t width) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(1e-6));
}

}  // namespace

CasaImpl::CasaImpl(const CasaPlan& p) : plan_(p) {
  const std::int64_t inner = p.heads * p.head_width;
  auto cross = register_module("Cross_Att", std::make_shared<torch::nn::Module>("Cross_Att"));
  auto attention =
      cross->register_module("MH_attn", std::make_shared<torch::nn::Module>("MH_attn"));
  if (p.queries) w_qs_ = attention->register_module("w_qs", linear(p.width, inner, false));
  w_ks_ = attention->register_module("w_ks", linear(p.width, inner, false));
  w_vs_ = attention->register_module("w_vs", linear(p.width, inner, false));
  fc_ = attention->register_module("fc", linear(inner, p.width, false));
  attention_norm_ = attention->register_module("layer_norm", layer_norm(p.width));
  auto ffn = cross->register_module("pos_ffn", std::make_shared<torch::nn::Module>("pos_ffn"));
  w_1_ = ffn->register_module("w_1", linear(p.width, p.hidden, true));
  w_2_ = ffn->register_module("w_2", linear(p.hidden, p.width, true));
  ffn_norm_ = ffn->register_module("layer_norm", layer_norm(p.width));
  if (p.zeta) zeta_ = register_module("zeta", linear(p.width, p.width, true));
}

at::Tensor CasaImpl::drop(const at::Tensor& x, const RowDraws* dropout, const char* site) const {
  return dropout != nullptr && plan_.dropout > 0
             ? x * dropout->dropout_factor(x, plan_.dropout, site)
             : x;
}

at::Tensor CasaImpl::align(const at::Tensor& query_BTD, const at::Tensor& projected_BTE,
                           const at::Tensor& tokens_BMD, const RowDraws* dropout) {
  const auto split = [&](const at::Tensor& x_BTE) {
    return x_BTE.view({x_BTE.size(0), x_BTE.size(1), plan_.heads, plan_.head_width})
        .transpose(1, 2);
  };
  const at::Tensor q_BHTE = split(projected_BTE), k_BHME = split(w_ks_(tokens_BMD)),
                   v_BHME = split(w_vs_(tokens_BMD));
  at::Tensor mixed_BHTE;
  if (dropout != nullptr && plan_.dropout > 0) {
    const double scale = 1.0 / std::sqrt(static_cast<double>(plan_.head_width));
    const at::Tensor map_BHTM =
        wide(at::matmul(q_BHTE * scale, k_BHME.transpose(-2, -1))).softmax(-1);
    mixed_BHTE = at::matmul(drop(map_BHTM, dropout, "casa-attention"), v_BHME);
  } else {
    mixed_BHTE = at::scaled_dot_product_attention(q_BHTE, k_BHME, v_BHME);
  }
  const at::Tensor mixed_BTE = mixed_BHTE.transpose(1, 2).flatten(2);
  const at::Tensor h_BTD =
      attention_norm_(drop(wide(fc_(mixed_BTE)), dropout, "casa-output") + query_BTD);
  const at::Tensor f_BTD = drop(wide(w_2_(at::relu(w_1_(h_BTD)))), dropout, "casa-ffn");
  const at::Tensor out_BTD = ffn_norm_(f_BTD + h_BTD);
  if (zeta_.is_empty()) return out_BTD;
  const WithoutAutocast float32;  // logits of a softmax as sharp as 0.008
  return zeta_(out_BTD);
}

}  // namespace homolog::model
