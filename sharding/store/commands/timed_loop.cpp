#include "sharding/store/commands/timed_loop.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "sharding/store/commands/read_stop.h"

namespace homolog::store {

LoopRate timed_loop(int threads, double seconds,
                    const std::function<void(std::int64_t, LoopBuffers&)>& work,
                    std::int64_t most) {
  std::atomic<std::int64_t> next{0}, ended{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::exception_ptr fault;
  std::vector<std::thread> pool;
  const Stopwatch watch;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      LoopBuffers buffers;
      try {
        for (std::int64_t i; !stop && (i = next++) < most; ++ended) {
          stop_reading_if_asked();
          work(i, buffers);
          if (watch.seconds() > seconds) stop = true;
        }
      } catch (...) {
        const std::lock_guard lock(mutex);
        fault = std::current_exception();
        stop = true;
      }
    });
  }
  for (auto& thread : pool) thread.join();
  if (fault) std::rethrow_exception(fault);
  return {ended, watch.seconds()};
}

}  // namespace homolog::store
