// Reuse is decided by reference counts: a buffer that only the pool holds is free.
// Views share storage, so the storage's count is asked too.
#include "data/batch_buffers.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace homolog::data {
namespace {

constexpr std::size_t kHugePage = 2 << 20;

// Batches are larger than what 4 KB pages let a processor address quickly (measured: 20 % of a
// decoding thread's time). Where the system has no huge pages to give, these are plain ones.
at::Tensor on_huge_pages(const std::vector<std::int64_t>& shape) {
  std::size_t bytes = sizeof(std::int16_t);
  for (const std::int64_t side : shape) bytes *= static_cast<std::size_t>(side);
  bytes = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* memory = std::aligned_alloc(kHugePage, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  ::madvise(memory, bytes, MADV_HUGEPAGE);
  return at::from_blob(
      memory, shape, [](void* p) { std::free(p); }, at::kShort);
}

at::Tensor new_buffer(const std::vector<std::int64_t>& shape) {
  const auto options = at::TensorOptions().dtype(at::kShort);
  return at::hasCUDA() ? at::empty(shape, options.pinned_memory(true)) : on_huge_pages(shape);
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
