// See on_cpu.h. The work is cut into groups of windows and blocks of heads by the shape alone, so
// that sums over windows have one order. Few large heads at a time where a head's bias fills a
// cache; all heads of a window together where they are small, because they lie side by side.
#include "model/attention/on_cpu.h"

#include <ATen/Parallel.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <vector>

namespace homolog::model::attention {
namespace {

constexpr float kLog2e = 1.44269504088896F;
constexpr std::int64_t kTasks = 16;  // at least, where the shape allows

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

struct Cut {
  std::int64_t windows, heads, heads_in_block, blocks, groups;

  Cut(std::int64_t w, std::int64_t h, std::int64_t tokens)
      : windows(w),
        heads(h),
        heads_in_block(tokens <= 128 ? std::min<std::int64_t>(h, 8) : 1),
        blocks(divide_up(h, heads_in_block)),
        groups(std::clamp<std::int64_t>(divide_up(kTasks, blocks), 1,
                                        std::max<std::int64_t>(1, w / 2))) {}
  std::int64_t tasks() const { return blocks * groups; }
  std::int64_t group(std::int64_t task) const { return task % groups; }
  Part part(std::int64_t task) const {
    const std::int64_t block = task / groups, first = block * heads_in_block;
    const auto edge = [&](std::int64_t g) { return static_cast<int>(windows * g / groups); };
    return {edge(group(task)), edge(group(task) + 1), static_cast<int>(first),
            static_cast<int>(std::min(heads, first + heads_in_block))};
  }
};

template <class T>
Rows<T> rows_of(const at::Tensor& t_WNHD) {
  return {t_WNHD.data_ptr<float>(), t_WNHD.stride(0), t_WNHD.stride(1), t_WNHD.stride(2)};
}

Problem problem_of(const Inputs& in, const Kernel& kernel) {
  Problem p;
  p.heads = static_cast<int>(in.q_WNHD.size(2));
  p.tokens = static_cast<int>(in.q_WNHD.size(1));
  p.channels = static_cast<int>(in.q_WNHD.size(3));
  p.padded = padded_tokens(kernel, p.tokens);
  p.scale = static_cast<float>(in.scale) * kLog2e;
  p.q = rows_of<const float>(in.q_WNHD);
  p.k = rows_of<const float>(in.k_WNHD);
  p.v = rows_of<const float>(in.v_WNHD);
  p.mask = in.mask.bits();
  return p;
}

at::Tensor bias_panels(const Problem& p, const at::Tensor& bias_HNN, const Kernel& kernel,
                       bool of_queries) {
  at::Tensor panels = torch::empty({p.heads, p.padded, p.padded});
  at::parallel_for(0, p.heads, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t h = begin; h < end; ++h) {
      kernel.panels_of_bias(bias_HNN.const_data_ptr<float>() + h * p.tokens * p.tokens, p.tokens,
                            of_queries, panels.data_ptr<float>() + h * p.padded * p.padded);
    }
  });
  return panels;
}

// body(task, scratch) in threads.
template <class Body>
void for_each_task(const Cut& cut, const Problem& p, const Kernel& kernel, const Body& body) {
  at::parallel_for(0, cut.tasks(), 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scratch(kernel.scratch(p) + 16);
    const auto address = reinterpret_cast<std::uintptr_t>(scratch.data());
    float* const aligned = scratch.data() + (64 - address % 64) % 64 / sizeof(float);
    for (std::int64_t task = begin; task < end; ++task) body(task, aligned);
  });
}

// Sums over groups in their order: (task, head of its block, panel of keys, query, lane) -> (H, N,
// N).
at::Tensor sum_over_groups(const at::Tensor& panels, const Cut& cut, const Problem& p, int panel) {
  at::Tensor sum_HNN = torch::empty({p.heads, p.tokens, p.tokens});
  const float* const parts = panels.const_data_ptr<float>();
  float* const sums = sum_HNN.data_ptr<float>();
  at::parallel_for(
      0, std::int64_t{p.heads} * p.tokens, 64, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t head = row / p.tokens, query = row % p.tokens;
          const std::int64_t block = head / cut.heads_in_block,
                             in_block = head % cut.heads_in_block;
          float* to = sums + row * p.tokens;
          for (std::int64_t g = 0; g < cut.groups; ++g) {
            const std::int64_t table = (block * cut.groups + g) * cut.heads_in_block + in_block;
            const float* from = parts + table * p.padded * p.padded + query * panel;
            for (int first = 0; first < p.tokens; first += panel, from += p.padded * panel) {
              const int count = std::min(panel, p.tokens - first);
              for (int l = 0; l < count; ++l)
                to[first + l] = g == 0 ? from[l] : to[first + l] + from[l];
            }
          }
        }
      });
  return sum_HNN;
}

}  // namespace

Outputs forward_on_cpu(const Inputs& in, bool with_softmax, const Kernel& kernel) {
  Problem p = problem_of(in, kernel);
  const Cut cut(in.q_WNHD.size(0), p.heads, p.tokens);
  const at::Tensor bias = bias_panels(p, in.bias_HNN, kernel, /*of_queries=*/true);
  Outputs out{.out_WNHD = torch::empty(in.q_WNHD.sizes()), .softmax = {}};
  if (with_softmax) out.softmax = torch::empty({cut.windows, cut.heads, 2, p.padded});
  p.bias_of_queries = bias.const_data_ptr<float>();
  p.out = rows_of<float>(out.out_WNHD);
  p.softmax = with_softmax ? out.softmax.data_ptr<float>() : nullptr;
  for_each_task(cut, p, kernel, [&](std::int64_t task, float* scratch) {
    kernel.forward(p, cut.part(task), scratch);
  });
  return out;
}

Gradients backward_on_cpu(const Inputs& in, const Outputs& out, const at::Tensor& gradient_WNHD,
                          const Kernel& kernel) {
  Problem p = problem_of(in, kernel);
  const Cut cut(in.q_WNHD.size(0), p.heads, p.tokens);
  const at::Tensor bias = bias_panels(p, in.bias_HNN, kernel, /*of_queries=*/false);
  const auto like_q = [&] { return torch::empty(in.q_WNHD.sizes()); };
  Gradients d{like_q(), like_q(), like_q(), {}};
  const std::int64_t table = std::int64_t{p.padded} * p.padded;
  const at::Tensor parts = torch::empty({cut.tasks(), cut.heads_in_block, table});
  p.bias_of_keys = bias.const_data_ptr<float>();
  p.out = rows_of<float>(out.out_WNHD);
  p.softmax = out.softmax.data_ptr<float>();
  p.out_gradient = rows_of<const float>(gradient_WNHD);
  p.q_gradient = rows_of<float>(d.q_WNHD);
  p.k_gradient = rows_of<float>(d.k_WNHD);
  p.v_gradient = rows_of<float>(d.v_WNHD);
  for_each_task(cut, p, kernel, [&](std::int64_t task, float* scratch) {
    float* const sums = parts.data_ptr<float>() + task * cut.heads_in_block * table;
    std::fill_n(sums, cut.heads_in_block * table, 0.0F);
    kernel.backward(p, cut.part(task), scratch, sums);
  });
  d.bias_HNN = sum_over_groups(parts, cut, p, 2 * kernel.lanes);
  return d;
}

}  // namespace homolog::model::attention
