// homolog bench update: norm, clip, AdamW and EMA over the arena's flat buffers, as training runs
// them, against a plain copy of memory.
#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/nn/module.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>

#include "apps/bench/commands.h"
#include "base/byte_count.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/host_memory.h"
#include "base/options.h"
#include "cluster/comm/measure.h"
#include "train/gradient_arena.h"
#include "train/optimizer.h"

namespace homolog::bench {
namespace {

struct UpdatePlan {
  double parameters = 72.8e6;  // nnFormer 48 with its heads
  std::int64_t tensors = 200;
  int threads = 0, rounds = 11;
  double seconds = 20;
  std::string device = "auto";
  bool json = false;
};

// Reads: gradient for the norm; gradient, weight, two moments and target for the update. Writes:
// weight, two moments, target, and zeros into the gradient.
constexpr double kBytesPerParameter = 4 + 5 * 4 + 5 * 4;

// A network in nothing but its sizes: large matrices and small vectors, as encoders have.
class Weights : public torch::nn::Module {
 public:
  Weights(std::int64_t parameters, std::int64_t tensors, torch::Device device) {
    const std::int64_t width = 256, vectors = tensors / 2;
    const std::int64_t rest = std::max(width, parameters - vectors * width);
    const std::int64_t matrices = std::max<std::int64_t>(1, tensors - vectors);
    const std::int64_t rows = std::max<std::int64_t>(1, rest / matrices / width);
    for (std::int64_t i = 0; i < matrices; ++i)
      register_parameter("weight" + std::to_string(i), torch::full({rows, width}, 0.01F, device));
    for (std::int64_t i = 0; i < vectors; ++i)
      register_parameter("bias" + std::to_string(i), torch::zeros({width}, device));
  }
};

class Sizes : public objective::Objective {
 public:
  Sizes(const UpdatePlan& plan, torch::Device device)
      : online_(static_cast<std::int64_t>(plan.parameters), plan.tensors, device),
        target_(static_cast<std::int64_t>(plan.parameters), plan.tensors, device) {}
  torch::nn::Module& online() override { return online_; }
  torch::nn::Module* target() override { return &target_; }
  objective::Loss evaluate(const objective::Views&, const objective::StepInfo&) override {
    throw std::logic_error("only its sizes are used");
  }
  std::string exported_prefix() const override { return ""; }
  bool is_exported(const std::string&) const override { return true; }

 private:
  Weights online_, target_;
};

torch::Device device_of(const std::string& wanted) {
  const bool there = torch::cuda::is_available();
  if (wanted == "cuda" && !there)
    throw Error(Fault::Environment, "--device cuda, but no GPU can be used here",
                "see `homolog --build-info` (cuda) and nvidia-smi, or give --device cpu");
  return wanted == "cpu" || !there ? torch::Device(torch::kCPU) : torch::Device(torch::kCUDA, 0);
}

template <class Once>
std::vector<double> repeat(const UpdatePlan& plan, torch::Device device, const Once& once) {
  const auto timed = [&] {
    Stopwatch watch;
    once();
    if (device.is_cuda()) torch::cuda::synchronize(device.index());
    return watch.lap();
  };
  timed();
  timed();  // the first touch of every page
  const Stopwatch since;
  std::vector<double> seconds;
  do seconds.push_back(timed());
  while (static_cast<int>(seconds.size()) < plan.rounds && since.seconds() < plan.seconds);
  return seconds;
}

// Weights before and in the arena, gradients, two moments, target, and what the copy fills.
void require_memory(const UpdatePlan& plan) {
  const auto need = static_cast<std::uint64_t>(7 * sizeof(float) * plan.parameters);
  if (need <= memory_limit()) return;
  throw Error(Fault::Environment,
              digits(plan.parameters * 1e-6) + " M parameters need " + human_bytes(need) +
                  " of memory, this job has " + human_bytes(memory_limit()),
              "give fewer --parameters");
}

nlohmann::ordered_json measure(const UpdatePlan& plan, torch::Device device) {
  if (device.is_cpu()) require_memory(plan);
  const torch::NoGradGuard no_grad;
  Sizes sizes(plan, device);
  train::GradientArena arena(sizes, std::int64_t{25} << 20, 2);
  train::Optimizer optimizer(arena, {}, 1.0);
  arena.gradients().normal_(0, 1e-3);
  const std::vector<std::uint8_t> active(arena.slots().size(), 1);
  const auto update = repeat(plan, device, [&] {
    optimizer.measure();
    optimizer.apply({1e-4, 0.04, 0.996}, active);
  });
  torch::Tensor copy = torch::empty_like(arena.parameters());
  const auto copied = repeat(plan, device, [&] { copy.copy_(arena.parameters()); });
  if (!std::isfinite(arena.parameters().sum().item<double>()))
    throw Error(Fault::Diverged, "the updated weights are not finite");
  const auto count = static_cast<double>(arena.size());
  const double seconds = comm::median_of(update), copy_seconds = comm::median_of(copied);
  const double rate = kBytesPerParameter * count / seconds * 1e-9;
  const double copy_rate = 8 * count / copy_seconds * 1e-9;
  return {{"device", device.str()},
          {"threads", device.is_cpu() ? at::get_num_threads() : 0},
          {"parameters", arena.size()},
          {"tensors", arena.slots().size()},
          {"rounds", update.size()},
          {"seconds", seconds},
          {"least_seconds", *std::min_element(update.begin(), update.end())},
          {"most_seconds", *std::max_element(update.begin(), update.end())},
          {"bytes_per_parameter", kBytesPerParameter},
          {"gb_s", rate},
          {"copy_gb_s", copy_rate},
          {"share_of_copy", rate / copy_rate}};
}

}  // namespace

int run_update(int argc, char** argv) {
  UpdatePlan plan;
  Options options(
      "homolog bench update", "[--parameters N] [--threads N] [--json]",
      "Norm, clip per tensor, AdamW and the target's EMA in training's fused pass: time "
      "and bytes\nper second (44 bytes a parameter), beside a plain copy of memory.");
  options.add("parameters", plan.parameters, "trained parameters, about",
              {.min = 1000, .max = 1e11});
  options.add("tensors", plan.tensors, "tensors that they form", {.min = 1, .max = 1000000});
  options.add("threads", plan.threads, "CPU threads; 0: OMP_NUM_THREADS, else all cores",
              {.min = 0, .max = 4096});
  options.add("rounds", plan.rounds, "updates that are timed", {.min = 1, .max = 100000});
  options.add("seconds", plan.seconds, "no further update after so long",
              {.min = 0.01, .unit = "s"});
  options.add("device", plan.device, "where", {.choices = {"auto", "cpu", "cuda"}});
  options.add("json", plan.json, "print one JSON object in place of the lines");
  if (!options.parse(argc, argv)) return 0;
  if (plan.threads > 0) at::set_num_threads(plan.threads);
  const auto report = measure(plan, device_of(plan.device));
  if (plan.json) {
    std::printf("%s\n", report.dump(2).c_str());
    return 0;
  }
  const auto number = [&](const char* key) { return report[key].get<double>(); };
  const std::string threads =
      number("threads") > 0 ? ", " + std::to_string(report["threads"].get<int>()) + " threads" : "";
  std::printf("update of %s M parameters in %d tensors on %s%s\n",
              digits(number("parameters") * 1e-6).c_str(), report["tensors"].get<int>(),
              report["device"].get<std::string>().c_str(), threads.c_str());
  std::printf(
      "%s",
      table({{"", "time [ms]", "[GB/s]"},
             {"norm, clip, AdamW, EMA", digits(number("seconds") * 1e3), digits(number("gb_s"))},
             {"copy of the weights", "", digits(number("copy_gb_s"))},
             {"share of the copy", "", digits(number("share_of_copy"))}})
          .c_str());
  return 0;
}

}  // namespace homolog::bench
