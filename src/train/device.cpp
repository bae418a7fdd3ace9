#include "train/device.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cstdlib>

#include "base/error.h"

namespace homolog::train {

torch::Device choose_device(const std::string& wanted, const comm::Communicator& communicator) {
  const bool nccl = communicator.device() >= 0, alone = communicator.rank().size == 1;
  const bool possible = torch::cuda::is_available() && (nccl || alone);
  if (wanted == "cuda" && !possible) {
    throw Error(Fault::Environment,
                torch::cuda::is_available()
                    ? "--device cuda needs cluster.backend = nccl with several workers"
                    : "--device cuda, but no GPU can be used here",
                "see `homolog --build-info` (cuda) and nvidia-smi, or train with --device cpu");
  }
  if (wanted == "cpu" && nccl)
    throw Error(Fault::Usage, "--device cpu does not go with NCCL",
                "set cluster.backend = mpi, or tcp without MPI");
  if (wanted == "cpu" || !possible) return torch::kCPU;
  const torch::Device device(torch::kCUDA,
                             static_cast<c10::DeviceIndex>(nccl ? communicator.device() : 0));
  c10::impl::VirtualGuardImpl(torch::kCUDA).setDevice(device);
  return device;
}

void prepare_torch(std::uint64_t seed, bool deterministic) {
  at::globalContext().setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
  at::globalContext().setDeterministicCuDNN(deterministic);
  at::globalContext().setBenchmarkCuDNN(!deterministic);
  at::globalContext().setAllowTF32CuBLAS(!deterministic);  // Torch's default: cuDNN alone
  at::globalContext().setAllowTF32CuDNN(!deterministic);
  // Torch refuses cuBLAS in deterministic runs without it, and reads it at each call.
  if (deterministic) ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  torch::manual_seed(seed);  // the same initial weights on every rank
}

void leave_default_stream(torch::Device device) {
  if (!device.is_cuda()) return;
  const c10::impl::VirtualGuardImpl devices(device.type());
  devices.exchangeStream(devices.getStreamFromGlobalPool(device, /*isHighPriority=*/false));
}

}  // namespace homolog::train
