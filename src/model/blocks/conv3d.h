// torch's 3D convolution under its own name, but for one case that its CPU library gets wrong.
#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

namespace homolog::model {

class Conv3dImpl : public torch::nn::Conv3dImpl {
 public:
  using torch::nn::Conv3dImpl::Conv3dImpl;
  // As torch's. On a CPU in bf16 (precision.h) a kernel that is deeper than the map is applied in
  // float32: oneDNN reads memory there that nothing has written, so gradients come out not finite
  // (torch 2.11, AVX-512; seen with 3x3x3 on maps two voxels deep).
  at::Tensor forward(const at::Tensor& x_BCXYZ);
};
TORCH_MODULE(Conv3d);

}  // namespace homolog::model
