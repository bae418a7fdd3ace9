// Stands in for recorded_work_on_cuda.cpp in a build without CUDA.
#include "base/error.h"
#include "train/recorded_work.h"

namespace homolog::train {

std::unique_ptr<RecordedWork> record_on_cuda(const std::function<void()>&) {
  throw Error(Fault::Environment, "this build has no CUDA code",
              "build the preset `cuda`, or train with --device cpu");
}

}  // namespace homolog::train
