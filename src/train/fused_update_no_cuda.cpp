// Stands in for fused_update.cu in a build without CUDA.
#include "base/error.h"
#include "train/fused_update.h"

namespace homolog::train {
namespace {
[[noreturn]] void absent() {
  throw Error(Fault::Environment, "this build has no CUDA code",
              "build the preset `cuda`, or train with --device cpu");
}
}  // namespace

void measure_cuda(const UpdateBuffers&, void*) { absent(); }
void update_cuda(const UpdateBuffers&, const UpdateRates&, void*) { absent(); }

}  // namespace homolog::train
