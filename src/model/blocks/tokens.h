// Token sequences (B, L, C), a map flattened with the last spatial axis fastest: to maps and back,
// and the sum that ends a transformer branch.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/backbone.h"

namespace homolog::model {

at::Tensor tokens_to_map(const at::Tensor& tokens_BLC,
                         const backbone::Size3& grid);  // (B, C, X, Y, Z), a view
at::Tensor map_to_tokens(const at::Tensor& map_BCXYZ);  // (B, L, C), contiguous

// tokens + branch, each row's branch times its factor of stochastic depth (keep_B or undefined).
at::Tensor add_branch(const at::Tensor& tokens_BLC, const at::Tensor& branch_BLC,
                      const at::Tensor& keep_B);

}  // namespace homolog::model
