#include "sharding/store/bench.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace homolog::store {
namespace {

using Work = std::function<void(std::int64_t, std::vector<std::uint16_t>&, ShardReader::Scratch&)>;

// Pairs per second over `seconds`, each thread with its own reused buffers.
double measure(int threads, double seconds, const Work& pair) {
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::exception_ptr fault;
  std::vector<std::thread> pool;
  Stopwatch watch;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      std::vector<std::uint16_t> crop;
      ShardReader::Scratch scratch;
      try {
        while (!stop) pair(next++, crop, scratch);
      } catch (...) {
        const std::lock_guard lock(mutex);
        fault = std::current_exception();
        stop = true;
      }
    });
  }
  while (!stop && watch.seconds() < seconds)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  stop = true;
  for (auto& thread : pool) thread.join();
  if (fault) std::rethrow_exception(fault);
  return static_cast<double>(next) / watch.seconds();
}

}  // namespace

ReadSpeed bench(const PairStore& pairs, int threads, double seconds) {
  const auto voxels = static_cast<std::size_t>(pairs.header().voxels());
  const std::vector<std::uint16_t> source(voxels, 7);
  const Work read = [&](std::int64_t i, std::vector<std::uint16_t>& crop,
                        ShardReader::Scratch& scratch) {
    const auto at = pairs.at(i % pairs.pairs());
    crop.resize(voxels);
    for (const std::uint32_t row : {at.pair.query, at.pair.key})
      at.shard->read_window(row, crop, scratch);
  };
  const Work copy = [&](std::int64_t, std::vector<std::uint16_t>& crop, ShardReader::Scratch&) {
    crop.resize(voxels);
    for (int side = 0; side < 2; ++side) std::memcpy(crop.data(), source.data(), voxels * 2);
  };
  measure(threads, seconds / 6, read);
  // In turns, the best of three each: other load moves both alike.
  ReadSpeed best;
  for (int turn = 0; turn < 3; ++turn) {
    best.reader = std::max(best.reader, measure(threads, seconds / 6, read));
    best.copy = std::max(best.copy, measure(threads, seconds / 6, copy));
  }
  return best;
}

}  // namespace homolog::store
