// A float mask as bits, which is what a shifted window's is: 0 or one value.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "model/attention/kernel.h"

namespace homolog::model::attention {

// See MaskBits, whose memory this is. Undefined tensors: no mask.
struct PackedMask {
  at::Tensor of_queries, of_keys;  // (V, padded / panel, padded), int32
  at::Tensor any;                  // (V), uint8
  double value = 0;                // what a set bit adds to a score

  MaskBits bits() const;
};

// mask_VNN: float32 on the CPU, or undefined. Nothing where it holds two values besides 0, or one
// that is not a number. An infinite value is taken as 1e29, which no softmax tells from it unless
// all keys of a query are masked: then they count alike. `of_keys` is needed by backward alone.
std::optional<PackedMask> pack_mask(const at::Tensor& mask_VNN, const Kernel& kernel,
                                    bool with_keys);

}  // namespace homolog::model::attention
