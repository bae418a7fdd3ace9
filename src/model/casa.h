// CASA, the conditional anatomical-semantic alignment (method.md 3.6, paper Fig. 3): tokens of one
// network re-expressed for the student's queries by one post-norm cross-attention layer.
#pragma once

#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <cstdint>

#include "model/row_draws.h"

namespace homolog::model {

struct CasaPlan {
  std::int64_t width = 512, heads = 8, head_width = 64, hidden = 2048;
  double dropout = 0.1;
  bool queries = true;  // holds W_q; the target copy does not, W_q is online on both sides
  bool zeta = true;     // last projection of Fig. 3; absent in the reference code
};

class CasaImpl : public torch::nn::Module {
 public:
  explicit CasaImpl(const CasaPlan& plan);

  at::Tensor project_queries(const at::Tensor& query_BTD) { return w_qs_(query_BTD); }  // W_q
  // query_BTD: student encoder tokens (residual); projected_BTE = W_q query, E = heads x
  // head_width; tokens_BMD: keys and values; dropout: where its masks come from, nullptr for none.
  // Returns (B, T, D).
  at::Tensor align(const at::Tensor& query_BTD, const at::Tensor& projected_BTE,
                   const at::Tensor& tokens_BMD, const RowDraws* dropout);

 private:
  at::Tensor drop(const at::Tensor& x, const RowDraws* dropout, const char* site) const;

  CasaPlan plan_;
  torch::nn::Linear w_qs_{nullptr}, w_ks_{nullptr}, w_vs_{nullptr}, fc_{nullptr}, w_1_{nullptr},
      w_2_{nullptr}, zeta_{nullptr};
  torch::nn::LayerNorm attention_norm_{nullptr}, ffn_norm_{nullptr};
};
TORCH_MODULE(Casa);

}  // namespace homolog::model
