// A deadline for work that cannot be interrupted: a disk that hangs holds its thread for ever.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

namespace homolog::doctor {

// Runs `work` on a thread of its own and gives its result, or throws what it throws. nullopt: not
// done within `seconds`; the thread stays behind, so `work` must own whatever it touches, and the
// process should leave by _exit().
template <class Result>
std::optional<Result> within(double seconds, std::function<Result()> work) {
  auto task = std::make_shared<std::packaged_task<Result()>>(std::move(work));
  std::future<Result> result = task->get_future();
  std::thread([task] { (*task)(); }).detach();
  if (result.wait_for(std::chrono::duration<double>(seconds)) != std::future_status::ready)
    return std::nullopt;
  return result.get();
}

}  // namespace homolog::doctor
