#include "cluster/plan/plan_report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace homolog::plan {
namespace {

using json = nlohmann::ordered_json;

template <class... Values>
std::string line(const char* format, Values... values) {
  char text[400];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

constexpr double kMega = 1e6, kGiga = 1e9, kTera = 1e12;

std::string size(double bytes) {
  return bytes >= 0.1 * kGiga ? line("%.2f GB", bytes / kGiga) : line("%.1f MB", bytes / kMega);
}

std::string duration(double seconds) {
  return seconds >= 1 ? line("%.2f s", seconds) : line("%.2f ms", 1e3 * seconds);
}

std::string row(const char* what, const std::string& value, const std::string& note = "") {
  return line("  %-26s %12s", what, value.c_str()) + (note.empty() ? "" : "  " + note) + "\n";
}

std::string parameters_text(const StepWork& w) {
  const ParameterCount& p = w.parameters;
  const auto millions = [](std::int64_t n) {
    return line("%.3f M", static_cast<double>(n) / kMega);
  };
  std::string out = "parameters (counted)\n" + row("trained", millions(p.trained));
  for (const auto& [part, count] : p.parts)
    out += row(("  " + part).c_str(), millions(count),
               !p.exported.empty() && part != p.exported ? "the objective's own" : "");
  out += row("target (moving average)", millions(p.target));
  if (p.fixed > 0) out += row("never trained", millions(p.fixed));
  if (p.state > 0) out += row("objective's state", line("%lld", static_cast<long long>(p.state)));
  return out;
}

std::string memory_text(const Question& q, const Forecast& f) {
  const StepMemory& k = f.memory.kinds;
  std::string out = "memory of a worker (counted" +
                    std::string(q.format.bf16 ? "; activations halved for bf16" : "") +
                    (q.recomputes ? "; blocks recomputed in backward" : "") + ")\n";
  out += row("weights", size(k.weights)) + row("gradients", size(k.gradients)) +
         row("moments", size(k.moments)) + row("target", size(k.target));
  if (k.fixed > 0) out += row("untrained, buffers", size(k.fixed));
  out += row("saved for backward", size(k.saved)) +
         row("temporary beside it", size(k.peak - k.saved)) + row("input", size(k.inputs));
  if (f.memory.context > 0) out += row("driver and NCCL", size(f.memory.context), "assumed");
  out += row("together", size(f.memory.total),
             f.memory.offered
                 ? (f.memory.fits() ? "fits in " : "DOES NOT FIT in ") + size(*f.memory.offered)
                 : "");
  return out;
}

std::string step_text(const StepWork& w, const Question& q, const Forecast& f) {
  const Totals target = totals(w, Pass::Target), student = totals(w, Pass::Student),
               back = totals(w, Pass::Backward);
  std::string out = "work of a step (counted), " + std::to_string(q.accumulate) + " x " +
                    std::to_string(w.batch) + " samples a worker\n";
  const auto work = [&](const char* name, const Totals& t) {
    const auto times = static_cast<double>(q.accumulate);
    return row(name, line("%.3f TFLOP", times * t.flops / kTera),
               size(times * t.bytes * (q.format.bf16 ? 0.5 : 1)) + " read and written");
  };
  if (target.bytes > 0) out += work("target forward", target);
  out += work("student forward", student) + work("backward", back);
  const StepSeconds& m = f.modelled;
  out += std::string("time of a step without communication (model: ") + q.device.name +
         ", its limit)\n";
  if (m.target > 0) out += row("target forward", duration(m.target));
  out += row("student forward", duration(m.student)) + row("backward", duration(m.backward)) +
         row("update", duration(m.update)) +
         row("together", duration(m.total()),
             "had products alone: " + duration(m.products) +
                 ", memory traffic alone: " + duration(m.traffic));
  if (q.probe) {
    out += "time of a step without communication (MEASURED here, " + q.probe->where + ", " +
           std::to_string(q.probe->steps) + " steps)\n";
    out += row(
        "together", duration(q.probe->step),
        "+- " + duration(q.probe->spread) + ", waiting for data " + duration(q.probe->data_wait));
  } else {
    out += row("share of peak products", line("%.0f %%", 100 * f.products_share));
  }
  return out;
}

std::string scaling_text(const Question& q, const Forecast& f) {
  const AllReduce& a = f.all_reduce;
  std::string out = "exchange of gradients (model)\n";
  out += row("gradients", size(f.gradient_bytes), "float32, every step") +
         row("a worker sends", size(f.sent_bytes)) +
         row("all-reduce", duration(a.seconds()),
             f.workers == 1 ? "one worker"
             : q.nodes > 1  ? "in the node " + duration(a.within) + ", between nodes by " +
                                 (a.by_tree() ? "tree " : "ring ") + duration(a.between())
                           : "ring in the node");
  out += std::string("scaling (") + (f.measured ? "measured step, modelled exchange" : "model") +
         line("; a worker's steps vary by %.1f %%)\n", 100 * q.jitter);
  out += "   nodes  workers       step   samples/s   no overlap   overlapped   and jitter\n";
  for (const ScalingRow& r : f.rows) {
    out += line("  %6lld  %7lld  %9s  %10.2f  %9.1f %%  %9.1f %%  %9.1f %%\n",
                static_cast<long long>(r.nodes), static_cast<long long>(r.workers),
                duration(r.scaling.step).c_str(), r.samples_per_s, 100 * r.scaling.alone,
                100 * r.scaling.overlapped, 100 * r.scaling.with_jitter);
  }
  return out;
}

std::string run_text(const Question& q, const Forecast& f) {
  std::string out = "the run\n";
  out += row("global batch", std::to_string(f.global_batch),
             q.recipe_batch > 0 ? "the recipe's: " + std::to_string(q.recipe_batch) : "");
  out += row("data needed", line("%.2f/s", f.samples_per_s),
             q.sample_bytes > 0
                 ? size(f.data_bytes_per_s) + "/s, a node " + size(f.data_bytes_per_s_node) +
                       "/s (" + size(q.sample_bytes) + " a sample, " +
                       (q.sample_bytes_from_store ? "the store's own" : "not packed") + ")"
                 : "");
  out += row("checkpoint", size(f.checkpoint_bytes), "counted");
  if (q.steps > 0) {
    out += row("steps", std::to_string(q.steps)) + row("hours", line("%.2f", f.hours)) +
           row((std::string(q.device.name) == "cpu" ? "core-hours" : "GPU-hours"),
               line("%.1f", f.device_hours));
  } else {
    out += row("steps", "not known", "give data.store, or --train-samples, or schedule.steps");
  }
  return out;
}

json scaling_json(const ScalingRow& r) {
  return {{"nodes", r.nodes},
          {"workers", r.workers},
          {"step_s", r.scaling.step},
          {"samples_per_s", r.samples_per_s},
          {"all_reduce_s", r.scaling.all_reduce},
          {"exposed_s", r.scaling.exposed},
          {"jitter_s", r.scaling.jitter},
          {"efficiency_no_overlap", r.scaling.alone},
          {"efficiency_overlapped", r.scaling.overlapped},
          {"efficiency_with_jitter", r.scaling.with_jitter}};
}

json memory_json(const Forecast& f) {
  const StepMemory& k = f.memory.kinds;
  json out = {{"weights", k.weights},
              {"gradients", k.gradients},
              {"moments", k.moments},
              {"target", k.target},
              {"untrained", k.fixed},
              {"saved", k.saved},
              {"temporary", k.peak - k.saved},
              {"input", k.inputs},
              {"context", f.memory.context},
              {"total", f.memory.total},
              {"offered", nullptr},
              {"fits", nullptr}};
  if (f.memory.offered) {
    out["offered"] = *f.memory.offered;
    out["fits"] = f.memory.fits();
  }
  return out;
}

json work_json(const StepWork& w) {
  json out;
  for (const auto& [name, pass] :
       {std::pair("target", Pass::Target), std::pair("student", Pass::Student),
        std::pair("backward", Pass::Backward)}) {
    const Totals t = totals(w, pass);
    out[name] = {{"flop", t.flops}, {"bytes", t.bytes}};
  }
  out["source"] = w.source;
  return out;
}

}  // namespace

std::string plan_text(const StepWork& w, const Question& q, const Forecast& f) {
  std::string out =
      line("%lld node%s x %lld %s = %lld workers, %s\n", static_cast<long long>(q.nodes),
           q.nodes == 1 ? "" : "s", static_cast<long long>(q.per_node), q.device.name,
           static_cast<long long>(f.workers),
           q.format.bf16                                    ? "bf16"
           : q.format.tf32 && q.device.tf32 > q.device.fp32 ? "float32 (TF32 products)"
                                                            : "float32");
  out += w.source + "\n";
  out += parameters_text(w) + memory_text(q, f) + step_text(w, q, f) + scaling_text(q, f) +
         run_text(q, f);
  if (!f.measured)
    out += "Times are a model's, from data sheets: what a step can at best be. --probe measures.\n";
  for (const std::string& warning : f.warnings) out += "warning: " + warning + "\n";
  return out;
}

json plan_json(const StepWork& w, const Question& q, const Forecast& f) {
  json parts = json::object(), rows = json::array();
  for (const auto& [part, count] : w.parameters.parts) parts[part] = count;
  for (const ScalingRow& r : f.rows) rows.push_back(scaling_json(r));
  json out = {{"nodes", q.nodes},
              {"gpus_per_node", q.per_node},
              {"gpu", q.device.name},
              {"workers", f.workers},
              {"precision", q.format.bf16 ? "bf16" : "float32"},
              {"activation_checkpoint", q.recomputes},
              {"parameters",
               {{"trained", w.parameters.trained},
                {"target", w.parameters.target},
                {"untrained", w.parameters.fixed},
                {"state", w.parameters.state},
                {"parts", parts}}},
              {"memory_bytes", memory_json(f)},
              {"work_of_one_pass", work_json(w)},
              {"passes_per_step", q.accumulate},
              {"modelled_step_s",
               {{"target", f.modelled.target},
                {"student", f.modelled.student},
                {"backward", f.modelled.backward},
                {"update", f.modelled.update},
                {"products_alone", f.modelled.products},
                {"traffic_alone", f.modelled.traffic},
                {"total", f.modelled.total()}}},
              {"step_s", f.step},
              {"step_is", f.measured ? "measured" : "model"},
              {"share_of_peak_products", f.products_share},
              {"all_reduce",
               {{"gradient_bytes", f.gradient_bytes},
                {"sent_bytes", f.sent_bytes},
                {"seconds", f.all_reduce.seconds()},
                {"within_node_s", f.all_reduce.within},
                {"ring_s", f.all_reduce.ring},
                {"tree_s", f.all_reduce.tree}}},
              {"scaling", rows},
              {"global_batch", f.global_batch},
              {"recipe_batch", q.recipe_batch > 0 ? json(q.recipe_batch) : json(nullptr)},
              {"samples_per_s", f.samples_per_s},
              {"data_bytes_per_s", f.data_bytes_per_s},
              {"data_bytes_per_s_and_node", f.data_bytes_per_s_node},
              {"data_bytes_are", q.sample_bytes_from_store ? "the store's" : "unpacked"},
              {"checkpoint_bytes", f.checkpoint_bytes},
              {"steps", q.steps > 0 ? json(q.steps) : json(nullptr)},
              {"hours", q.steps > 0 ? json(f.hours) : json(nullptr)},
              {"device_hours", q.steps > 0 ? json(f.device_hours) : json(nullptr)},
              {"warnings", f.warnings}};
  if (q.probe) {
    out["probe"] = {{"step_s", q.probe->step},
                    {"spread_s", q.probe->spread},
                    {"data_wait_s", q.probe->data_wait},
                    {"steps", q.probe->steps},
                    {"device", q.probe->where}};
  }
  return out;
}

}  // namespace homolog::plan
