// homolog-plan: what a run will need and how long it will take, before it is submitted. Counts the
// configured step without values (src/census) and reckons the rest (cluster/plan).
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/plan/probe.h"
#include "apps/plan/subject.h"
#include "base/error.h"
#include "base/run_main.h"
#include "cluster/plan/forecast.h"
#include "cluster/plan/plan_report.h"
#include "train/schedule.h"

namespace {

using namespace homolog;

struct Request {
  std::int64_t nodes = 1, gpus_per_node = 1, train_samples = 0, recipe_batch = -1, probe_steps = 20;
  std::string gpu = "h200", device = "auto";
  double jitter = 1;  // %
  bool probe = false, json = false;
};

void declare(Options& o, Request& r) {
  std::string known;
  for (const std::string& name : plan::device_names()) known += (known.empty() ? "" : ", ") + name;
  o.add("nodes", r.nodes, "machines", {.min = 1, .max = 100000});
  o.add("gpus-per-node", r.gpus_per_node, "workers on each: one a GPU, or one a core with cpu",
        {.min = 1, .max = 1024});
  o.add("gpu", r.gpu, "what each worker computes on: " + known);
  o.add("train-samples", r.train_samples,
        "pairs (for sam: volumes) of an epoch; 0: those of data.store", {.min = 0});
  o.add("recipe-batch", r.recipe_batch,
        "samples per step of the recipe, to compare with; -1: as published, 0: none", {.min = -1});
  o.add("jitter", r.jitter, "how much a worker's steps vary: standard deviation",
        {.min = 0, .max = 100, .unit = "%"});
  o.add("probe", r.probe,
        "measure real steps of one worker on this machine, instead of the table's times; needs "
        "data.store, and room for a checkpoint in TMPDIR");
  o.add("probe-steps", r.probe_steps, "steps to measure, after three to warm up",
        {.min = 3, .max = 100000});
  o.add("device", r.device, "where the probe trains", {.choices = {"auto", "cpu", "cuda"}});
  o.add("json", r.json, "print the plan as JSON");
}

// Of the schedule; without the length of an epoch what schedule.steps says: 0 where it says
// nothing.
std::int64_t steps_of(const train::TrainingPlan& p, std::int64_t samples, std::int64_t batch) {
  if (samples == 0) return p.schedule.steps;
  return train::Schedule(p.schedule, samples / batch, batch).steps();
}

plan::Question question_of(const Request& r, const train::TrainingPlan& p, const Subject& subject) {
  const SubjectData data = subject.data();
  plan::Question q{.nodes = r.nodes,
                   .per_node = r.gpus_per_node,
                   .device = plan::device_named(r.gpu),
                   .format = {p.precision == "bf16", !p.deterministic},
                   .accumulate = p.accumulate,
                   .recomputes = p.activation_checkpoint,
                   .jitter = r.jitter / 100,
                   .train_samples = data.train_samples,
                   .recipe_batch = r.recipe_batch < 0 ? subject.recipe_batch() : r.recipe_batch,
                   .rate_follows_batch = p.schedule.scale_lr,
                   .sample_bytes = data.sample_bytes,
                   .sample_bytes_from_store = data.from_store};
  q.steps = steps_of(p, data.train_samples, p.batch * p.accumulate * r.nodes * r.gpus_per_node);
  return q;
}

int body(int argc, char** argv) {
  const bool sam = argc > 1 && std::string(argv[1]) == "sam";
  Options options(
      "homolog plan" + std::string(sam ? " sam" : ""),
      "[sam] --config FILE --nodes N --gpus-per-node G --gpu NAME [--set KEY=VALUE ...]",
      "Memory, traffic, step time, scaling, data rate, checkpoint and hours of a run, "
      "before it is submitted. Takes the configuration of homolog train; after the "
      "word sam that of homolog sam train.");
  Request request;
  train::TrainingPlan training;
  const auto subject =
      sam ? sam_subject(request.train_samples) : pair_subject(request.train_samples);
  declare(options, request);
  subject->declare(options, training);
  options.leave_to_others({"monitor", "launch"});
  const bool plans = sam ? options.parse(argc - 1, argv + 1) : options.parse(argc, argv);
  train::check(training);
  if (!plans) return 0;
  subject->check();
  if (request.probe && !subject->can_be_probed())
    throw Error(Fault::Usage, "--probe needs pairs to train on",
                sam ? "SAM's steps are not probed yet: leave --probe out" : "give data.store");
  plan::Question question = question_of(request, training, *subject);
  torch::manual_seed(training.seed);
  const plan::StepWork work = census::count_step(subject->setup(training));
  if (request.probe)
    question.probe = probe({request.probe_steps, request.device, options.config_arguments(),
                            request.gpu == "cpu" ? request.gpus_per_node : 1});
  const plan::Forecast forecast = plan::forecast(work, question);
  if (request.json)
    std::cout << plan::plan_json(work, question, forecast).dump(2) << "\n";
  else
    std::cout << plan::plan_text(work, question, forecast);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "homolog-plan", [&] { return body(argc, argv); });
}
