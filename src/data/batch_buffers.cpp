// Reuse is decided by reference counts: a buffer that only the pool holds is free.
// Views share storage, so the storage's count is asked too.
#include "data/batch_buffers.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstdlib>

#include "base/huge_pages.h"

namespace homolog::data {
namespace {

// Batches are larger than what 4 KB pages let a processor address quickly (measured: 20 % of a
// decoding thread's time).
at::Tensor host_buffer(const std::vector<std::int64_t>& shape) {
  std::size_t bytes = sizeof(std::int16_t);
  for (const std::int64_t side : shape) bytes *= static_cast<std::size_t>(side);
  return at::from_blob(
      on_huge_pages(bytes), shape, [](void* p) { std::free(p); }, at::kShort);
}

at::Tensor new_buffer(const std::vector<std::int64_t>& shape) {
  const auto options = at::TensorOptions().dtype(at::kShort);
  return at::hasCUDA() ? at::empty(shape, options.pinned_memory(true)) : host_buffer(shape);
}

}  // namespace

BatchBuffers::BatchBuffers(std::vector<std::int64_t> shape_BDHW) : shape_(std::move(shape_BDHW)) {}

at::Tensor BatchBuffers::take() {
  const std::lock_guard lock(mutex_);
  for (const at::Tensor& buffer : buffers_) {
    if (buffer.use_count() == 1 && buffer.storage().use_count() == 1) return buffer;
  }
  buffers_.push_back(new_buffer(shape_));
  return buffers_.back();
}

}  // namespace homolog::data
