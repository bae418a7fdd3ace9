// See kernel.h.
#include "model/attention/kernel.h"

namespace homolog::model::attention {

const Kernel& kernel_here() {
#if defined(__x86_64__)
  static const bool avx512 =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (avx512 && avx2) return kAvx512Kernel;
  if (avx2) return kAvx2Kernel;
#endif
  return kBaselineKernel;
}

int padded_tokens(const Kernel& kernel, int tokens) {
  const int panel = 2 * kernel.lanes;
  return (tokens + panel - 1) / panel * panel;
}

}  // namespace homolog::model::attention
