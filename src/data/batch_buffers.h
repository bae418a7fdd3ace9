// Host buffers of batches, used again once the consumer has let go of them.
// Fresh memory costs page faults, and pinned memory a driver call.
#pragma once

#include <ATen/core/Tensor.h>

#include <mutex>
#include <vector>

namespace homolog::data {

class BatchBuffers {
 public:
  // int16 [batch, z, y, x]; pinned where a GPU is, else on huge pages where the system has them.
  explicit BatchBuffers(std::vector<std::int64_t> shape_BDHW);
  // Contents undefined. Thread-safe.
  at::Tensor take();

 private:
  std::vector<std::int64_t> shape_;
  std::mutex mutex_;
  std::vector<at::Tensor> buffers_;
};

}  // namespace homolog::data
