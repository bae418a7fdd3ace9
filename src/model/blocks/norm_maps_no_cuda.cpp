// Stands in for norm_maps.cu in a build without CUDA.
#include "base/error.h"
#include "model/blocks/norm_maps.h"

namespace homolog::model {
namespace {
[[noreturn]] void absent() {
  throw Error(Fault::Environment, "this build has no CUDA code",
              "build the preset `cuda`, or train with --device cpu");
}
}  // namespace

void normalise_maps(const NormMaps<float>&, float*, void*) { absent(); }
void normalise_maps(const NormMaps<Bf16>&, Bf16*, void*) { absent(); }
void map_gradients(const NormMaps<float>&, const MapGradients<float>&, void*) { absent(); }
void map_gradients(const NormMaps<Bf16>&, const MapGradients<Bf16>&, void*) { absent(); }

}  // namespace homolog::model
