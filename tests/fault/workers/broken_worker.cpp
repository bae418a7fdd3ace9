// A worker of the real engine with a toy network. On the last rank the third backward pass throws
// after buckets have left, and a thread of its source sits in a read that never ends.
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "base/run_main.h"
#include "cluster/topology/environment.h"
#include "tests/unit/train/toy.h"

namespace {

using namespace homolog;
using namespace homolog::train;

class BrokenToy final : public objective::Objective {
 public:
  explicit BrokenToy(bool breaks) : breaks_(breaks) {}
  torch::nn::Module& online() override { return toy_.online(); }
  torch::nn::Module* target() override { return toy_.target(); }
  objective::ParameterRule rule(const std::string& name, const torch::Tensor& p) const override {
    return toy_.rule(name, p);
  }
  objective::Loss evaluate(const objective::Views& views,
                           const objective::StepInfo& info) override {
    objective::Loss loss = toy_.evaluate(views, info);
    if (breaks_ && info.step == 2) {  // the first layer's gradient comes last
      toy_.online().named_parameters()["first.weight"].register_hook(
          [](const torch::Tensor& gradient) -> torch::Tensor {
            if (gradient.defined()) throw std::runtime_error("the first layer fell over");
            return gradient;
          });
    }
    return loss;
  }
  void absorb(const torch::Tensor& sums, int ranks) override { toy_.absorb(sums, ranks); }
  std::map<std::string, torch::Tensor> state() override { return toy_.state(); }
  std::string exported_prefix() const override { return toy_.exported_prefix(); }
  bool is_exported(const std::string& name) const override { return toy_.is_exported(name); }

 private:
  toy::Toy toy_;
  bool breaks_;
};

class HungSource final : public Source {
 public:
  explicit HungSource(const Start& start) : source_(start, 400) {
    if (start.rank + 1 == start.world)
      hung_ = std::thread([] {
        std::mutex mutex;
        std::unique_lock lock(mutex);
        std::condition_variable().wait(lock, [] { return false; });
      });
  }
  ~HungSource() override {
    if (hung_.joinable()) hung_.join();  // for ever
  }
  Batch next() override { return source_.next(); }
  std::int64_t steps_per_epoch() const override { return source_.steps_per_epoch(); }
  std::int64_t validation_batches() const override { return 0; }
  Batch validation_batch(std::int64_t index) override { return source_.validation_batch(index); }
  data::StreamCounters counters() const override { return {}; }

 private:
  toy::ToySource source_;
  std::thread hung_;
};

int body(int argc, char** argv) {
  Options options("broken_worker", "", "");
  TrainingPlan plan = toy::plan_for("");
  declare(options, plan);
  if (!options.parse(argc, argv)) return 0;
  const topology::Place place = topology::read_place(topology::process_environment());
  TrainingParts parts = toy::parts_for();
  parts.objective = [&] { return std::make_unique<BrokenToy>(place.index + 1 == place.size); };
  parts.source = [](const Start& start) { return std::make_unique<HungSource>(start); };
  return run_training(plan, parts, options);
}

}  // namespace

int main(int argc, char** argv) {
  return run_main(argc, argv, "broken_worker", [&] { return body(argc, argv); });
}
