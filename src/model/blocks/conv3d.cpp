#include "model/blocks/conv3d.h"

#include "model/precision.h"

namespace homolog::model {

at::Tensor Conv3dImpl::forward(const at::Tensor& x_BCXYZ) {
  const bool deeper = options.kernel_size()->at(0) > x_BCXYZ.size(2);
  if (!deeper || !x_BCXYZ.is_cpu()) return torch::nn::Conv3dImpl::forward(x_BCXYZ);
  const WithoutAutocast in_float32;
  return torch::nn::Conv3dImpl::forward(wide(x_BCXYZ));
}

}  // namespace homolog::model
