#include "cluster/apps/gpu_buffer.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/types.h>

namespace homolog {

comm::DeviceBuffer gpu_buffer(int gpu, std::size_t count) {
  const torch::Device device(torch::kCUDA, static_cast<c10::DeviceIndex>(gpu));
  const c10::impl::VirtualGuardImpl guard(device.type());
  guard.setDevice(device);
  auto values = torch::zeros({static_cast<std::int64_t>(count)}, device);
  return {{values.data_ptr<float>(), count, comm::Scalar::F32},
          guard.getStream(device).native_handle(),
          [values](float value) mutable { values.fill_(value); },
          [values] { return values.narrow(0, values.numel() - 1, 1).item<float>(); }};
}

}  // namespace homolog
