// Small tensors that the host makes for a device in every step: masks, draws, centres.
#pragma once

#include <ATen/core/Tensor.h>

namespace homolog::model {

// `host` on `device`. A GPU copies it when its queue comes to that: from pageable memory it would
// let the host wait for all that it was given before.
inline at::Tensor to_device(const at::Tensor& host, const at::Device& device) {
  return device.is_cuda() ? host.pin_memory().to(device, /*non_blocking=*/true) : host.to(device);
}

}  // namespace homolog::model
