// The queue of work that a device's operators go to now, for kernels of our own.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace homolog::model {

// A cudaStream_t on a GPU.
inline void* stream_of(const c10::Device& device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

}  // namespace homolog::model
