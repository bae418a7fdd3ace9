// A small objective and its source, for tests of the engine: a student, an EMA target without the
// student's last layer, a centre, an unused parameter, and faults on demand.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/dropout.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <unistd.h>

#include <filesystem>
#include <limits>
#include <set>

#include "base/counter_rng.h"
#include "base/log.h"
#include "monitoring/board/board.h"
#include "train/session.h"

namespace homolog::train::toy {

struct NetworkImpl : torch::nn::Module {
  explicit NetworkImpl(bool with_tail, bool normed = false) {
    first = register_module("first", torch::nn::Linear(6, 40));
    drop = register_module("drop", torch::nn::Dropout(0.2));
    last_layer = register_module("last_layer", torch::nn::Linear(40, 5));
    if (normed) norm = register_module("norm", torch::nn::BatchNorm1d(6));
    if (!with_tail) return;
    tail = register_module("tail", torch::nn::Linear(5, 5));
    unused = register_parameter("unused", torch::ones({3, 3}));
    fixed = register_parameter("fixed", torch::ones({2}));
  }
  torch::Tensor forward(const torch::Tensor& x) {
    return last_layer(drop(torch::gelu(first(norm.is_empty() ? x : norm(x)))));
  }
  torch::nn::Linear first{nullptr}, last_layer{nullptr}, tail{nullptr};
  torch::nn::Dropout drop{nullptr};
  torch::nn::BatchNorm1d norm{nullptr};
  torch::Tensor unused, fixed;
};
TORCH_MODULE(Network);

// Samples whose id is in here give a NaN loss on the rank that meets them.
struct Faults {
  std::set<std::uint64_t> poisoned;
  bool dropout = true, batch_norm = false;
};

class Toy final : public objective::Objective {
 public:
  explicit Toy(Faults faults = {})
      : faults_(std::move(faults)),
        online_(true, faults_.batch_norm),
        target_(false, faults_.batch_norm) {
    torch::NoGradGuard no_grad;
    auto from = online_->named_parameters();
    for (auto& item : target_->named_parameters()) item.value().copy_(from[item.key()]);
    if (!faults_.dropout) online_->drop->options.p(0);
    target_->eval();
  }
  torch::nn::Module& online() override { return *online_; }
  torch::nn::Module* target() override { return target_.get(); }
  objective::ParameterRule rule(const std::string& name, const torch::Tensor& p) const override {
    auto out = Objective::rule(name, p);
    out.trained = name != "fixed";
    out.clipped = !name.starts_with("tail.");
    out.frozen_first_epoch = name.starts_with("last_layer");
    return out;
  }
  objective::Loss evaluate(const objective::Views& views,
                           const objective::StepInfo& info) override {
    const torch::Tensor x = views.at("x");
    torch::Tensor wanted;
    {
      torch::NoGradGuard no_grad;
      wanted = target_->forward(x) - centre_;
    }
    const torch::Tensor out = online_->tail(online_->forward(x));
    objective::Loss loss;
    const torch::Tensor near = (out - wanted).square().mean(),
                        size = 0.1 * (out - 1).square().mean();
    loss.total = near + size;
    for (const auto id : views.ids) {
      if (info.training && faults_.poisoned.contains(id))
        loss.total = loss.total * std::numeric_limits<float>::quiet_NaN();
    }
    loss.terms = {{"near", near.detach()}, {"size", size.detach()}};
    if (info.training) loss.statistics = wanted.mean(0);
    return loss;
  }
  void absorb(const torch::Tensor& sums, int ranks) override {
    centre_.mul_(0.9).add_(sums / ranks, 0.1);
  }
  std::map<std::string, torch::Tensor> state() override { return {{"centre", centre_}}; }
  std::map<std::string, double> gauges(std::int64_t epoch) const override {
    return {{"teacher_temperature", 0.25 + static_cast<double>(epoch)}};
  }
  std::string exported_prefix() const override { return ""; }
  bool is_exported(const std::string& name) const override { return name.starts_with("first."); }

 private:
  Faults faults_;
  Network online_, target_;
  torch::Tensor centre_ = torch::zeros({5});
};

// Global batch k of an epoch holds ids epoch*1000 + k*G ... in order; rows go to ranks in blocks.
class ToySource final : public Source {
 public:
  explicit ToySource(const Start& start, std::int64_t steps_per_epoch = 4)
      : start_(start), steps_(steps_per_epoch), at_(start.cursor) {}
  Batch next() override {
    const std::uint64_t global =
        static_cast<std::uint64_t>(start_.batch * start_.accumulate * start_.world);
    Batch batch;
    for (std::int64_t row = 0; row < start_.batch; ++row) {
      const auto within =
          static_cast<std::uint64_t>((micro_ * start_.world + start_.rank) * start_.batch + row);
      batch.views.ids.push_back(at_.epoch * 1000 + at_.position * global + within);
    }
    fill(batch);
    if (++micro_ == start_.accumulate) {
      micro_ = 0;
      if (++at_.position == static_cast<std::uint64_t>(steps_)) at_ = {at_.epoch + 1, 0};
    }
    batch.next = at_;
    return batch;
  }
  std::int64_t steps_per_epoch() const override { return steps_; }
  std::int64_t validation_batches() const override { return 2; }
  Batch validation_batch(std::int64_t index) override {
    Batch batch;
    for (std::int64_t row = 0; row < start_.batch; ++row) {
      batch.views.ids.push_back(static_cast<std::uint64_t>(
          500000 + (index * start_.world + start_.rank) * start_.batch + row));
    }
    fill(batch);
    batch.next = at_;
    return batch;
  }
  data::StreamCounters counters() const override { return {}; }

 private:
  void fill(Batch& batch) const {
    torch::Tensor x = torch::empty({static_cast<std::int64_t>(batch.views.ids.size()), 6});
    for (std::size_t row = 0; row < batch.views.ids.size(); ++row) {
      CounterRng rng(start_.seed, "toy", batch.views.ids[row]);
      for (int c = 0; c < 6; ++c) x[static_cast<std::int64_t>(row)][c] = rng.normal();
    }
    batch.views.tensors["x"] = x;
    batch.pairs = x.size(0);
  }
  Start start_;
  std::int64_t steps_;
  data::Cursor at_;
  std::int64_t micro_ = 0;
};

inline TrainingPlan plan_for(const std::filesystem::path& run) {
  TrainingPlan plan;
  plan.run = run;
  plan.batch = 2;
  plan.schedule.epochs = 2;
  plan.schedule.warmup_epochs = 0.5;
  plan.schedule.base_lr = 1;
  plan.schedule.validate_every = 1;
  plan.checkpoint.every_s = 0;
  plan.checkpoint.keep = 20;
  plan.cluster.bucket_mb = 0.0005;  // a few buckets even here
  return plan;
}

inline TrainingParts parts_for(const Faults& faults = {}) {
  TrainingParts parts;
  parts.program = "toy";
  parts.objective = [faults] { return std::make_unique<Toy>(faults); };
  parts.source = [](const Start& start) { return std::make_unique<ToySource>(start); };
  parts.identity = {{"store", "toy store"}};
  return parts;
}

// Runs with the plan's fields as options' defaults; alone, or in a world that was joined before.
inline int run(TrainingPlan plan, const TrainingParts& parts, comm::Communicator* world = nullptr) {
  Options options("toy", "", "");
  declare(options, plan);
  const std::string run = plan.run.string();
  const char* words[] = {"toy", "--run", run.c_str()};
  options.parse(3, words);
  return world == nullptr ? run_training(plan, parts, options)
                          : run_training_in(*world, plan, parts, options);
}

// A folder of its own, removed at the end.
struct Scratch {
  explicit Scratch(const std::string& name = "train")
      : path(std::filesystem::temp_directory_path() /
             ("homolog_" + name + "_" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path);
    log::set_terminal_level("off");
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    board::remove_boards(path.string(), 1);
  }
  std::filesystem::path path;
};

}  // namespace homolog::train::toy
