#include "cluster/plan/step_model.h"

#include <algorithm>
#include <cmath>

namespace homolog::plan {
namespace {

// AdamW in one pass: weight and both moments read and written, gradient read twice (norm, update);
// with a target its copy read and written, too.
constexpr double kUpdateBytes = 6 * 4 + 2 * 4, kTargetBytes = 2 * 4;

double product_rate(const Device& device, const Format& format) {
  const double peak = format.bf16 ? device.bf16 : format.tf32 ? device.tf32 : device.fp32;
  return peak * device.product_share;
}

}  // namespace

Totals totals(const StepWork& work, Pass pass) {
  Totals sum;
  for (const OperatorWork& o : work.operators) {
    if (o.pass == pass) sum.flops += o.flops, sum.bytes += o.bytes;
  }
  return sum;
}

Totals totals(const StepWork& work) {
  Totals sum;
  for (const OperatorWork& o : work.operators) sum.flops += o.flops, sum.bytes += o.bytes;
  return sum;
}

StepSeconds step_seconds(const StepWork& work, const Device& device, const Format& format,
                         std::int64_t passes) {
  StepSeconds out;
  const double products = product_rate(device, format);
  const double plain = device.fp32 * device.product_share;
  const double copies = device.memory_bandwidth * device.copy_share;
  const auto repeat = static_cast<double>(passes);
  for (const OperatorWork& o : work.operators) {
    const double arithmetic = repeat * o.flops / (o.matrix ? products : plain);
    const double traffic = repeat * o.bytes * (format.bf16 ? 0.5 : 1) / copies;
    double& pass = o.pass == Pass::Target    ? out.target
                   : o.pass == Pass::Student ? out.student
                                             : out.backward;
    pass += std::max(arithmetic, traffic);
    out.products += arithmetic;
    out.traffic += traffic;
  }
  out.update = (static_cast<double>(work.parameters.trained) * kUpdateBytes +
                static_cast<double>(work.parameters.target) * kTargetBytes) /
               copies;
  return out;
}

Scaling scaling(const Load& load, const Fabric& fabric) {
  Scaling out;
  out.all_reduce = all_reduce(load.gradient_bytes, fabric).seconds();
  if (fabric.workers() > 1) {
    const double tail =
        all_reduce(std::min(load.tail_bytes, load.gradient_bytes), fabric).seconds();
    out.exposed = std::max(tail, out.all_reduce - load.backward);
    out.jitter = load.jitter * load.step * std::sqrt(2 * std::log(fabric.workers()));
  }
  out.step = load.step + out.exposed + out.jitter;
  out.alone = load.step / (load.step + out.all_reduce);
  out.overlapped = load.step / (load.step + out.exposed);
  out.with_jitter = load.step / out.step;
  return out;
}

}  // namespace homolog::plan
