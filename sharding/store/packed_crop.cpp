#include "sharding/store/packed_crop.h"

#include <new>

namespace homolog::store {

std::span<std::byte> PackedCrop::make_room(std::uint64_t offset, std::uint64_t size) {
  begin_ = offset % kAlignment;
  size_ = size;
  const std::size_t around = (begin_ + size + kAlignment - 1) / kAlignment * kAlignment;
  if (around > capacity_) {
    capacity_ = 0;
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignment, around)));
    if (!memory_) throw std::bad_alloc();
    capacity_ = around;
  }
  return {memory_.get(), around};
}

}  // namespace homolog::store
