// Window attention on the CPU: tensors to the kernel of this processor, in threads.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/attention/kernel.h"
#include "model/attention/mask_bits.h"

namespace homolog::model::attention {

// All float32, but on a GPU (on_gpu.h). q, k, v (W, N, H, D), D at most kMostChannels, any strides
// with channels adjacent; bias (H, N, N), contiguous. W is a multiple of the mask's windows.
struct Inputs {
  at::Tensor q_WNHD, k_WNHD, v_WNHD, bias_HNN;
  PackedMask mask;
  double scale = 1;
};

struct Outputs {
  at::Tensor out_WNHD;  // contiguous
  at::Tensor softmax;   // (W, H, 2, padded): what backward needs of each query: largest score, sum
};

struct Gradients {
  at::Tensor q_WNHD, k_WNHD, v_WNHD, bias_HNN;
};

// softmax stays undefined unless asked for.
Outputs forward_on_cpu(const Inputs& in, bool with_softmax, const Kernel& kernel);
// Bit for bit the same for any number of threads.
Gradients backward_on_cpu(const Inputs& in, const Outputs& out, const at::Tensor& gradient_WNHD,
                          const Kernel& kernel);

}  // namespace homolog::model::attention
