// A crop as it lies in its shard, in memory that suits reads past the page cache and is kept for
// the next crop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

namespace homolog::store {

class PackedCrop {
 public:
  static constexpr std::uint64_t kAlignment = 4096;  // bytes, of O_DIRECT on any file system

  std::span<const std::byte> bytes() const noexcept { return {memory_.get() + begin_, size_}; }
  // Memory for the bytes `offset` to `offset + size` of a file, which bytes() becomes, and for what
  // lies around them up to multiples of kAlignment. What it held is lost. Throws std::bad_alloc.
  std::span<std::byte> make_room(std::uint64_t offset, std::uint64_t size);

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
  };
  std::unique_ptr<std::byte[], Free> memory_;
  std::size_t capacity_ = 0, begin_ = 0, size_ = 0;
};

}  // namespace homolog::store
