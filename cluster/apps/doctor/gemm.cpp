#include "cluster/apps/doctor/gemm.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/version.h>

#include "base/clock.h"
#include "cluster/doctor/machine.h"

namespace homolog::doctor {
namespace {

torch::Device device_of(int gpu) {
  if (gpu < 0) return torch::kCPU;
  return {torch::kCUDA, static_cast<c10::DeviceIndex>(gpu)};
}

// The result of `while_hot` is read while products are queued or have just ended.
template <class WhileHot>
double gflops(torch::Device device, torch::ScalarType type, std::int64_t n, double seconds,
              const WhileHot& while_hot) {
  const auto options = torch::TensorOptions().device(device).dtype(type);
  const auto a = torch::ones({n, n}, options), b = torch::ones({n, n}, options);
  auto c = torch::mm(a, b);
  const auto settle = [&] {
    if (device.is_cuda()) torch::cuda::synchronize(device.index());
  };
  torch::mm_out(c, a, b);
  settle();
  const int burst = device.is_cuda() ? 20 : 1;
  std::int64_t products = 0;
  const Stopwatch watch;
  do {
    for (int i = 0; i < burst; ++i) torch::mm_out(c, a, b);
    products += burst;
    if (watch.seconds() >= seconds / 2 && products <= 2 * burst) while_hot();
    settle();
  } while (watch.seconds() < seconds);
  const double spent = watch.seconds();
  while_hot();
  const double n_operations = 2.0 * static_cast<double>(n) * static_cast<double>(n * n);
  return n_operations * static_cast<double>(products) / spent * 1e-9;
}

}  // namespace

int compute_threads() { return at::get_num_threads(); }
std::string torch_version() { return TORCH_VERSION; }

int gpu_index(int local_index, int local_size) {
  if (!torch::cuda::is_available()) return -1;
  const auto count = static_cast<int>(torch::cuda::device_count());
  if (count >= local_size) return local_index;
  return count == 1 ? 0 : -1;
}

Measured measure_gemm(int gpu, const std::string& pci, double seconds) {
  const torch::InferenceMode inference;
  const torch::Device device = device_of(gpu);
  Measured measured;
  if (gpu < 0) {
    constexpr std::int64_t kSize = 1024;
    measured.numbers["gflops"] =
        gflops(device, torch::kFloat32, kSize, seconds, [&] { read_cpu_clocks(measured); });
    return measured;
  }
  constexpr std::int64_t kSize = 8192;
  at::globalContext().setAllowTF32CuBLAS(true);
  measured.numbers["gflops"] = gflops(device, torch::kFloat32, kSize, seconds, [] {});
  measured.numbers["bf16_gflops"] =
      gflops(device, torch::kBFloat16, kSize, seconds, [&] { read_gpu_clocks(pci, measured); });
  read_cpu_clocks(measured);
  return measured;
}

}  // namespace homolog::doctor
