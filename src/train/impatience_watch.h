// The way out for those who cannot wait for the next step's end.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/stop_signal.h"
#include "train/run_folder.h"

namespace homolog::train {

// A second request means: leave at once, without a checkpoint. A step may be long, so a thread
// looks.
class ImpatienceWatch {
 public:
  explicit ImpatienceWatch(const std::filesystem::path& run)
      : thread_([this, run] {
          while (!quit_) {
            if (stop_signals_received() > 1) std::_Exit(RunFolder(run).code_of_leaving());
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
          }
        }) {}
  ~ImpatienceWatch() {
    quit_ = true;
    thread_.join();
  }
  ImpatienceWatch(const ImpatienceWatch&) = delete;
  ImpatienceWatch& operator=(const ImpatienceWatch&) = delete;

 private:
  std::atomic<bool> quit_ = false;
  std::thread thread_;
};

}  // namespace homolog::train
