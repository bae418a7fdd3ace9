// Stands in for the kernels in a build without CUDA.
#include "base/error.h"
#include "model/attention/on_cuda.h"

namespace homolog::model::attention {
namespace {
[[noreturn]] void absent() {
  throw Error(Fault::Environment, "this build has no CUDA code",
              "build the preset `cuda`, or train with --device cpu");
}
}  // namespace

void forward_cuda(const DeviceProblem<float>&, void*) { absent(); }
void backward_cuda(const DeviceProblem<float>&, void*) { absent(); }
void forward_cuda(const DeviceProblem<Bf16>&, void*) { absent(); }
void backward_cuda(const DeviceProblem<Bf16>&, void*) { absent(); }

}  // namespace homolog::model::attention
