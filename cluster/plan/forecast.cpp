#include "cluster/plan/forecast.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace homolog::plan {
namespace {

// CUDA's context with its libraries' kernels, and NCCL's buffers; a guess, told as such.
constexpr double kContextBytes = 1.5e9;
// A batch below this share of the recipe's is far below it.
constexpr double kFarBelow = 0.5;
constexpr double kGiga = 1e9;

std::string number(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

MemoryNeed memory_need(const StepMemory& counted, const Question& q) {
  MemoryNeed out;
  out.kinds = counted;
  if (q.format.bf16) {
    out.kinds.saved *= 0.5;
    out.kinds.peak *= 0.5;
  }
  const StepMemory& k = out.kinds;
  const bool gpu = q.device.memory > 0;
  out.context = gpu ? kContextBytes : 0;
  out.total =
      k.weights + k.gradients + k.moments + k.target + k.fixed + k.peak + k.inputs + out.context;
  if (gpu) out.offered = q.device.memory;
  return out;
}

Fabric fabric_of(const Question& q, std::int64_t nodes, std::int64_t per_node) {
  return {.nodes = static_cast<int>(nodes),
          .per_node = static_cast<int>(per_node),
          .link = q.device.link,
          .network = q.device.network};
}

Load load_of(const StepWork& work, const Question& q, const Forecast& f) {
  const double share = f.modelled.total() > 0 ? f.modelled.backward / f.modelled.total() : 0;
  return {.step = f.step,
          .backward = share * f.step / static_cast<double>(q.accumulate),
          .gradient_bytes = work.memory.gradients,
          .tail_bytes = work.last_bucket_bytes,
          .jitter = q.jitter};
}

std::vector<ScalingRow> rows_of(const StepWork& work, const Question& q, const Forecast& f) {
  const Load load = load_of(work, q, f);
  std::vector<ScalingRow> rows;
  const auto add = [&](std::int64_t nodes, std::int64_t per_node) {
    ScalingRow row{nodes, nodes * per_node, scaling(load, fabric_of(q, nodes, per_node)), 0};
    row.samples_per_s =
        static_cast<double>(row.workers * work.batch * q.accumulate) / row.scaling.step;
    rows.push_back(row);
  };
  if (q.nodes * q.per_node > 1) add(1, 1);
  for (std::int64_t nodes = 1; nodes < q.nodes; nodes *= 2)
    if (nodes * q.per_node > 1) add(nodes, q.per_node);
  add(q.nodes, q.per_node);
  return rows;
}

void warn_of_batch(const Question& q, Forecast& f) {
  if (q.recipe_batch == 0) return;
  const auto recipe = static_cast<double>(q.recipe_batch);
  if (static_cast<double>(f.global_batch) >= kFarBelow * recipe) return;
  const double more = std::ceil(recipe / static_cast<double>(f.global_batch));
  f.warnings.push_back(
      "the global batch of " + std::to_string(f.global_batch) + " is far below the recipe's " +
      std::to_string(q.recipe_batch) +
      ": such runs have been seen not to converge. Set data.accumulate = " +
      number(more * static_cast<double>(q.accumulate), "%.0f") + ", or more workers" +
      (q.rate_follows_batch ? "; the peak rate follows the batch (schedule.scale_lr)"
                            : "; the peak rate stays (schedule.scale_lr = false)"));
}

void warn_of_probe(const Question& q, Forecast& f) {
  const bool on_cpu = q.probe->where == "cpu";
  if (on_cpu != (std::string_view(q.device.name) == "cpu")) {
    f.warnings.push_back("the probe's steps ran on a " + std::string(on_cpu ? "CPU" : "GPU") +
                         ", not on a " + q.device.name +
                         ": step time, scaling and hours are those of the probe's device. Probe "
                         "on such a machine, or leave --probe out");
  }
  if (q.probe->data_wait > 0.1 * q.probe->step) {
    f.warnings.push_back(
        "while probing, " + number(100 * q.probe->data_wait / q.probe->step, "%.0f") +
        " % of a step was waiting for data: raise data.threads, or stage the store "
        "(homolog store stage)");
  }
}

void warn(const Question& q, Forecast& f) {
  warn_of_batch(q, f);
  if (!f.memory.fits()) {
    const char* precision = q.format.bf16 ? "" : ", or set cluster.precision = bf16";
    const char* recompute = q.recomputes ? "" : ", or set cluster.activation_checkpoint = true";
    f.warnings.push_back("needs " + number(f.memory.total / kGiga, "%.1f") + " GB of the " +
                         number(*f.memory.offered / kGiga, "%.0f") + " GB that a " +
                         std::string(q.device.name) +
                         " has: lower data.batch (and raise data.accumulate), take smaller crops" +
                         precision + recompute);
  }
  if (q.format.bf16 && q.device.bf16 <= q.device.fp32) {
    f.warnings.push_back(
        std::string(q.device.name) +
        " has no bfloat16 products: cluster.precision = bf16 brings no speed there");
  }
  if (q.probe) warn_of_probe(q, f);
  if (f.rows.back().scaling.with_jitter < 0.9) {
    f.warnings.push_back("at " + std::to_string(f.workers) + " workers only " +
                         number(100 * f.rows.back().scaling.with_jitter, "%.0f") +
                         " % of their time is work: a larger data.batch or data.accumulate makes "
                         "steps longer and the exchange rarer");
  }
}

}  // namespace

Forecast forecast(const StepWork& work, const Question& q) {
  Forecast f;
  f.workers = q.nodes * q.per_node;
  f.global_batch = work.batch * q.accumulate * f.workers;
  f.modelled = step_seconds(work, q.device, q.format, q.accumulate);
  f.measured = q.probe.has_value();
  f.step = f.measured ? q.probe->step : f.modelled.total();
  f.memory = memory_need(work.memory, q);
  f.gradient_bytes = work.memory.gradients;
  f.sent_bytes =
      2 * f.gradient_bytes * static_cast<double>(f.workers - 1) / static_cast<double>(f.workers);
  f.all_reduce = all_reduce(f.gradient_bytes, fabric_of(q, q.nodes, q.per_node));
  f.rows = rows_of(work, q, f);
  f.samples_per_s = f.rows.back().samples_per_s;
  f.data_bytes_per_s = f.samples_per_s * q.sample_bytes;
  f.data_bytes_per_s_node = f.data_bytes_per_s / static_cast<double>(q.nodes);
  const double peak = q.format.bf16 ? q.device.bf16 : q.format.tf32 ? q.device.tf32 : q.device.fp32;
  f.products_share = totals(work).flops * static_cast<double>(q.accumulate) / f.step / peak;
  f.checkpoint_bytes = work.checkpoint_bytes;
  f.hours = static_cast<double>(q.steps) * f.rows.back().scaling.step / 3600;
  f.device_hours = f.hours * static_cast<double>(f.workers);
  warn(q, f);
  return f;
}

}  // namespace homolog::plan
