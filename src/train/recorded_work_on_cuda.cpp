// Torch's graph class keeps the memory of a recording apart and feeds its random generators.
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <cuda_runtime.h>

#include "train/recorded_work.h"

namespace homolog::train {
namespace {

class Graph final : public RecordedWork {
 public:
  explicit Graph(const std::function<void()>& work) {
    // The recording has memory of its own: what earlier passes left cached would stay beside it.
    c10::cuda::CUDACachingAllocator::emptyCache();
    // Other threads may allocate pinned memory meanwhile.
    graph_.capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      give_up();
      throw;
    }
    graph_.capture_end();
  }
  void replay() override { graph_.replay(); }

 private:
  // The stream must leave its recording, which is invalid by now.
  void give_up() {
    try {
      graph_.capture_end();
    } catch (const c10::Error&) {
      (void)cudaGetLastError();
    }
  }

  at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<RecordedWork> record_on_cuda(const std::function<void()>& work) {
  return std::make_unique<Graph>(work);
}

}  // namespace homolog::train
