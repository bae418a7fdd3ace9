// See side_stream.h. Memory that Torch's allocator takes back from one queue goes to the same queue
// again, and each run() begins behind the current queue: so what the current queue still reads of
// an earlier run is not overwritten.
#include "model/side_stream.h"

#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace homolog::model {
namespace {

void let_wait(const c10::Stream& waiting, const c10::Stream& working) {
  c10::Event event(working.device_type());
  event.record(working);
  event.block(waiting);
}

}  // namespace

void SideStream::run(c10::Device device, const std::function<void()>& work) {
  if (!device.is_cuda()) return work();
  const c10::impl::VirtualGuardImpl devices(device.type());
  if (!stream_) stream_ = devices.getStreamFromGlobalPool(device, /*isHighPriority=*/false);
  let_wait(*stream_, devices.getStream(device));
  const c10::StreamGuard guard(*stream_);
  work();
}

void SideStream::join(c10::Device device) {
  if (!device.is_cuda()) return;
  let_wait(c10::impl::VirtualGuardImpl(device.type()).getStream(device), *stream_);
}

}  // namespace homolog::model
