// Work done again and again in threads for some seconds.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "sharding/store/shard_reader.h"

namespace homolog::store {

// What a thread keeps from one piece of work to the next.
struct LoopBuffers {
  std::vector<std::uint16_t> window;
  ShardReader::Scratch scratch;
};
struct LoopRate {
  std::int64_t count = 0;  // pieces begun and ended
  double seconds = 0;
  double per_second() const { return static_cast<double>(count) / seconds; }
};

// `work(i, buffers)` for i = 0, 1, ... until `seconds` are over or `most` are done. What a thread
// threw is thrown; Fault::Stopped on a signal.
LoopRate timed_loop(int threads, double seconds,
                    const std::function<void(std::int64_t, LoopBuffers&)>& work,
                    std::int64_t most = std::numeric_limits<std::int64_t>::max());

}  // namespace homolog::store
