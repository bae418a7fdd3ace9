// bench_attention [REPEATS]: window attention forward and backward on one thread, our operator and
// plain products in turns, with a learnt bias, with and without the mask of shifted windows. Prints
// one JSON object: the kernel, and for each case seconds of processor time, a number a turn.
#include <ATen/Parallel.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/run_main.h"
#include "model/attention/fused.h"
#include "model/attention/kernel.h"
#include "model/blocks/window_attention.h"

namespace {

using namespace homolog;

struct Case {
  const char* name;
  std::int64_t images, side, window, heads;  // of cubes of tokens
};

constexpr std::int64_t kChannels = 8;
constexpr Case kCases[] = {{"A", 2, 28, 7, 3}, {"B", 1, 32, 4, 6}, {"C", 1, 32, 8, 3}};

double processor_seconds() {
  std::timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

at::Tensor plain(const at::Tensor& q_WNHD, const at::Tensor& k_WNHD, const at::Tensor& v_WNHD,
                 const at::Tensor& bias_HNN, const at::Tensor& mask_VNN) {
  const double scale = 1 / std::sqrt(static_cast<double>(kChannels));
  at::Tensor score_WHNN = at::matmul(q_WNHD.transpose(1, 2) * scale, k_WNHD.permute({0, 2, 3, 1}));
  score_WHNN.add_(bias_HNN);
  if (mask_VNN.defined()) {
    const std::int64_t windows = mask_VNN.size(0), n = mask_VNN.size(-1);
    score_WHNN.view({-1, windows, score_WHNN.size(1), n, n}).add_(mask_VNN.unsqueeze(1));
  }
  return at::matmul(score_WHNN.softmax(-1), v_WNHD.transpose(1, 2)).transpose(1, 2).flatten(2);
}

at::Tensor ours(const at::Tensor& q_WNHD, const at::Tensor& k_WNHD, const at::Tensor& v_WNHD,
                const at::Tensor& bias_HNN, const at::Tensor& mask_VNN) {
  const auto out = model::attention::fused(q_WNHD, k_WNHD, v_WNHD, bias_HNN, mask_VNN);
  if (!out) throw Error(Fault::Environment, "the operator does not serve this case");
  return *out;
}

nlohmann::json measure(const Case& c, bool masked, int repeats) {
  const std::int64_t n = c.window * c.window * c.window;
  model::WindowGrid grid{.size = {c.side, c.side, c.side}, .window = c.window};
  const std::int64_t windows = c.images * grid.windows();
  const at::Tensor qkv = torch::randn({windows, n, 3, c.heads, kChannels});
  std::vector<at::Tensor> in = {torch::randn({c.heads, n, n}).requires_grad_()};
  for (int part = 0; part < 3; ++part) in.push_back(qkv.select(2, part).detach().requires_grad_());
  const at::Tensor gradient = torch::randn({windows, n, c.heads * kChannels});
  at::Tensor mask_VNN;
  if (masked) {
    grid.shift = c.window / 2;
    mask_VNN = grid.shift_mask_VNN(torch::kFloat);
  }
  const auto seconds = [&](const auto& attention) {
    const double start = processor_seconds();
    attention(in[1], in[2], in[3], in[0], mask_VNN).backward(gradient);
    const double took = processor_seconds() - start;
    for (at::Tensor& x : in) x.mutable_grad().reset();
    return took;
  };
  seconds(ours);
  seconds(plain);
  std::vector<double> own, peer;
  for (int turn = 0; turn < repeats; ++turn) {
    own.push_back(seconds(ours));
    peer.push_back(seconds(plain));
  }
  return {{"case", c.name}, {"masked", masked},      {"windows", windows}, {"heads", c.heads},
          {"tokens", n},    {"channels", kChannels}, {"ours", own},        {"plain", peer}};
}

int body(int argc, char** argv) {
  const int repeats = argc > 1 ? std::atoi(argv[1]) : 3;
  if (repeats < 1) throw Error(Fault::Usage, "the number of turns is at least 1");
  at::set_num_threads(1);
  torch::manual_seed(1);
  const model::attention::Kernel& kernel = model::attention::kernel_here();
  nlohmann::json rows = nlohmann::json::array();
  for (const Case& c : kCases) {
    for (const bool masked : {false, true}) rows.push_back(measure(c, masked, repeats));
  }
  const nlohmann::json result = {{"kernel", kernel.name}, {"lanes", kernel.lanes}, {"rows", rows}};
  std::printf("%s\n", result.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "bench_attention", [&] { return body(argc, argv); });
}
