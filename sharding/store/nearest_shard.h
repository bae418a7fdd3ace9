// One shard, read where it lies nearest: from its staged copy while that is good, else in the
// store.
#pragma once

#include <atomic>
#include <filesystem>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "sharding/store/shard_reader.h"
#include "sharding/store/shard_said.h"

namespace homolog::store {

enum class PageCache { Used, Passed };

class NearestShard {
 public:
  // Opens `copy` where there is a good one (an empty path: none is staged), else `own`, the
  // store's. Throws Fault::Data: that one is missing, broken, of another size or of other settings.
  // `cache`: whether what is read goes through the page cache, where the file system lets it pass.
  NearestShard(std::filesystem::path own, const std::filesystem::path& copy, ShardSaid said,
               PageCache cache = PageCache::Used);

  // The one that is read now; it stays valid as long as this.
  const ShardReader& reader() const noexcept { return *current_; }
  bool is_staged() const noexcept { return copy_ && current_ == &*copy_; }
  bool left_its_copy() const noexcept { return copy_ && !is_staged(); }
  // As ShardReader::read_window. A crop that the copy does not give is read from the store; where
  // that gives it, the copy is left for good, with a warning. Thread-safe.
  bool read_window(std::int64_t row, std::span<std::uint16_t> out,
                   ShardReader::Scratch& scratch) const;

 private:
  bool read_own(const Error& bad, std::int64_t row, std::span<std::uint16_t> out,
                ShardReader::Scratch& scratch) const;
  const ShardReader& open_own() const;
  void leave_copy(const Error& bad) const;

  std::filesystem::path own_file_;
  ShardSaid said_;
  PageCache cache_;
  std::optional<ShardReader> copy_;
  mutable std::mutex mutex_;
  mutable std::optional<ShardReader> own_;  // opened when it is needed
  mutable std::atomic<const ShardReader*> current_{nullptr};
};

}  // namespace homolog::store
