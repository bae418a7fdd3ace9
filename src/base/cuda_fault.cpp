// See cuda_fault.h.
#include "base/cuda_fault.h"

#include <string>

#include "base/error.h"

namespace homolog {

void throw_cuda_fault(const char* what, const char* reason) {
  throw Error(Fault::Environment, std::string("the GPU refused a kernel (") + what + "): " + reason,
              "GPUs of compute capability 8.0 and newer can train (A100, H100, RTX 30 and later): "
              "see nvidia-smi --query-gpu=name,compute_cap, or train with --device cpu");
}

}  // namespace homolog
