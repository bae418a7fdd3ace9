// See tokens.h.
#include "model/blocks/tokens.h"

#include <torch/types.h>
#include <torch/utils.h>

namespace homolog::model {

at::Tensor tokens_to_map(const at::Tensor& tokens_BLC, const backbone::Size3& grid) {
  return tokens_BLC.view({tokens_BLC.size(0), grid[0], grid[1], grid[2], -1})
      .permute({0, 4, 1, 2, 3});
}

at::Tensor map_to_tokens(const at::Tensor& map_BCXYZ) {
  return map_BCXYZ.flatten(2).transpose(1, 2).contiguous();
}

at::Tensor add_branch(const at::Tensor& tokens_BLC, const at::Tensor& branch_BLC,
                      const at::Tensor& keep_B) {
  return keep_B.defined() ? at::addcmul(tokens_BLC, branch_BLC, keep_B.view({-1, 1, 1}))
                          : tokens_BLC + branch_BLC;
}

}  // namespace homolog::model
