// Reuse is decided by reference counts: a buffer that only the pool holds is free.
// Views share storage, so the storage's count is asked too.
#include "data/batch_buffers.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>

namespace homolog::data {

BatchBuffers::BatchBuffers(std::vector<std::int64_t> shape_BDHW) : shape_(std::move(shape_BDHW)) {}

at::Tensor BatchBuffers::take() {
  const std::lock_guard lock(mutex_);
  for (const at::Tensor& buffer : buffers_) {
    if (buffer.use_count() == 1 && buffer.storage().use_count() == 1) return buffer;
  }
  buffers_.push_back(
      at::empty(shape_, at::TensorOptions().dtype(at::kShort).pinned_memory(at::hasCUDA())));
  return buffers_.back();
}

}  // namespace homolog::data
