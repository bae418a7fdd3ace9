// Work of a device that is issued once and then repeated with one launch: a CUDA graph.
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>

namespace homolog::train {

class RecordedWork {
 public:
  virtual ~RecordedWork() = default;
  // On the current stream, behind what that holds. Tensors that the work made hold this replay's
  // values, at the same places as before.
  virtual void replay() = 0;
};

// What `work` issues on the current stream and on those it forks and joins; nothing of it has run
// before replay(). The current stream must not be the device's default one, and accumulators of
// gradients must have been made on it (leave_default_stream). Throws what `work` throws, and
// c10::Error where the device cannot record that (a copy from pageable memory, a number read back).
// On a CPU replay() calls `work`: so tests show what a recording would miss.
std::unique_ptr<RecordedWork> record(torch::Device device, std::function<void()> work);

// Of record(), in a build with CUDA.
std::unique_ptr<RecordedWork> record_on_cuda(const std::function<void()>& work);

}  // namespace homolog::train
