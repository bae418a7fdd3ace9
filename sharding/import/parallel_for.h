// A loop over threads that ends early: by the first exception of a body, which comes out of it, or
// by a stop signal. Inside sharding/import only.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/stop_signal.h"

namespace homolog::import {

// Throws Fault::Stopped once a stop was asked for.
inline void stop_if_asked() {
  homolog::stop_if_asked("no catalogue was written", "run the same command again");
}

// body(0 .. count-1), each once, on at most `jobs` threads.
template <class Body>
void parallel_for(std::size_t count, int jobs, const Body& body) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr fault;
  const auto work = [&] {
    try {
      for (std::size_t i = next++; i < count; i = next++) {
        stop_if_asked();
        body(i);
      }
    } catch (...) {
      next = count;
      const std::lock_guard lock(mutex);
      if (!fault) fault = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int j = 1; j < jobs && j < static_cast<int>(count); ++j) helpers.emplace_back(work);
    work();
  }
  if (fault) std::rethrow_exception(fault);
}

}  // namespace homolog::import
