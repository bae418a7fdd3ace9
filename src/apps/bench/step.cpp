// homolog bench step: the trainer's own steps, with a configuration of homolog train, on synthetic
// views in the store's place. The run's folder is a temporary one of each rank.
#include <torch/types.h>
#include <torch/utils.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>

#include "apps/bench/commands.h"
#include "apps/choice.h"
#include "base/error.h"
#include "base/log.h"
#include "base/options.h"
#include "base/stop_signal.h"
#include "launcher/own_world.h"
#include "monitoring/board/board.h"
#include "train/memory_fault.h"
#include "train/pair_source.h"
#include "train/session.h"

namespace homolog::bench {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;
constexpr const char* kTrainer = "homolog train";

struct StepPlan {
  std::int64_t steps = 20, warm_up = 3;
  std::vector<std::int64_t> crop = {64, 64, 64};
  bool json = false;
};

struct Enough {};  // ends the run without a checkpoint, on all ranks before the same step

class TemporaryRun {
 public:
  TemporaryRun()
      : path_(fs::temp_directory_path() / ("homolog-bench-" + std::to_string(::getpid()))) {
    fs::create_directories(path_);
  }
  ~TemporaryRun() { remove(); }
  TemporaryRun(const TemporaryRun&) = delete;
  TemporaryRun& operator=(const TemporaryRun&) = delete;
  void remove() const noexcept {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
};

// Gives the same random views every time: what they hold does not change what a step costs.
class SyntheticSource final : public train::Source {
 public:
  SyntheticSource(const StepPlan& plan, const train::Start& start, const TemporaryRun& run)
      : batch_(start.batch), last_((plan.steps + plan.warm_up) * start.accumulate), run_(run) {
    const auto& c = plan.crop;
    for (const char* name : {"query_B1XYZ", "key_B1XYZ", "target_query_B1XYZ", "target_key_B1XYZ"})
      views_.tensors[name] = torch::rand({batch_, 1, c[0], c[1], c[2]}).to(start.device);
  }
  train::Batch next() override {
    if (stop_signals_received() > 0) {
      run_.remove();
      ::_exit(exit_code(Fault::Stopped));
    }
    if (given_ == last_) throw Enough{};
    train::Batch batch;
    batch.views = views_;
    for (std::int64_t i = 0; i < batch_; ++i)
      batch.views.ids.push_back(static_cast<std::uint64_t>(given_ * batch_ + i));
    batch.pairs = batch_;
    batch.next = {0, static_cast<std::uint64_t>(++given_)};
    return batch;
  }
  std::int64_t steps_per_epoch() const override { return std::int64_t{1} << 30; }
  std::int64_t validation_batches() const override { return 0; }
  train::Batch validation_batch(std::int64_t) override { throw Enough{}; }
  data::StreamCounters counters() const override { return {}; }

 private:
  std::int64_t batch_, given_ = 0, last_;
  const TemporaryRun& run_;
  objective::Views views_;
};

// What would end the run, or write, before the steps are measured. The rate is so small that random
// views cannot make weights diverge; it costs the same.
void leave_out(train::TrainingPlan& plan, const StepPlan& measured) {
  plan.schedule = {};
  plan.schedule.steps = measured.steps + measured.warm_up + 1;  // the last one never comes
  plan.schedule.warmup_steps = 0;
  plan.schedule.base_lr = 1e-6;
  plan.schedule.scale_lr = false;
  plan.schedule.min_lr = 0;
  plan.schedule.validate_every = 0;
  plan.checkpoint.every_steps = 0;
  plan.checkpoint.every_s = 0;
}

json report_of(const fs::path& metrics, std::int64_t warm_up) {
  std::vector<double> seconds;
  json parts = json::object();
  double pairs = 0, total = 0;
  std::ifstream in(metrics);
  std::int64_t n = 0;
  for (std::string text; std::getline(in, text);) {
    const auto line = json::parse(text);
    if (n++ < warm_up) continue;
    seconds.push_back(line["seconds"]);
    total += seconds.back();
    pairs += line["pairs_per_s"].get<double>() * seconds.back();
    for (const auto& [name, value] : line["parts"].items())
      parts[name] = parts.value(name, 0.0) + value.get<double>();
  }
  if (seconds.empty()) throw Error(Fault::Environment, "no step was measured");
  const auto steps = static_cast<double>(seconds.size());
  for (auto& [name, value] : parts.items()) value = value.get<double>() / steps;
  std::sort(seconds.begin(), seconds.end());
  return {{"steps", seconds.size()},
          {"seconds", seconds[seconds.size() / 2]},
          {"lower_quartile", seconds[seconds.size() / 4]},
          {"upper_quartile", seconds[seconds.size() * 3 / 4]},
          {"pairs_per_s", pairs / total},
          {"mean_parts", parts}};
}

void print(const json& report) {
  std::printf("%s, %s, %d ranks over %s, crop %s, %d pairs a step\n",
              report["backbone"].get<std::string>().c_str(),
              report["objective"].get<std::string>().c_str(), report["world"].get<int>(),
              report["backend"].get<std::string>().c_str(),
              report["crop"].get<std::string>().c_str(), report["pairs_a_step"].get<int>());
  const auto ms = [](const json& value) { return digits(value.get<double>() * 1e3); };
  std::printf("step %s ms (quartiles %s to %s, %d steps), %s pairs/s\n",
              ms(report["seconds"]).c_str(), ms(report["lower_quartile"]).c_str(),
              ms(report["upper_quartile"]).c_str(), report["steps"].get<int>(),
              digits(report["pairs_per_s"]).c_str());
  double sum = 0;
  for (const auto& [name, value] : report["mean_parts"].items()) sum += value.get<double>();
  std::vector<std::vector<std::string>> rows = {{"part, rank 0", "mean [ms]", "share [%]"}};
  for (const auto& [name, value] : report["mean_parts"].items()) {
    if (value.get<double>() > 0)
      rows.push_back({name, ms(value), digits(value.get<double>() / sum * 100)});
  }
  std::printf("%s", table(rows).c_str());
}

class StepBench {
 public:
  StepBench()
      : options_("homolog bench step", "[--config FILE] [--workers N] [--crop X,Y,Z] [--json]",
                 "Real training steps of a configuration on synthetic views, without a store and "
                 "without\ncheckpoints: how long one takes, its parts, pairs per second. All "
                 "settings of homolog train\ncan be given.") {
    launcher::declare_world(options_, request_);
    options_.add("crop", plan_.crop, "sides of the network's input, X,Y,Z",
                 {.min = 1, .max = 4096, .unit = "voxels"});
    options_.add("steps", plan_.steps, "steps that are measured", {.min = 1, .max = 1000000});
    options_.add("warm-up", plan_.warm_up, "steps before them", {.min = 0, .max = 1000000});
    options_.add("device", training_.device, "where", {.choices = {"auto", "cpu", "cuda"}});
    options_.add("json", plan_.json, "print one JSON object in place of the lines");
    declare(options_, choice_, backbones_, objectives_, weights_,
            "as for training; changes no step");
    train::declare(options_, pairs_);
    train::declare_recipe(options_, training_);
    options_.leave_to_others({"monitor", "launch"});
  }

  int run(int argc, char** argv) {
    if (!options_.parse(argc, argv)) return 0;
    require_trained_by(kTrainer, choice_.objective);
    if (plan_.crop.size() != 3)
      throw Error(Fault::Usage, "--crop wants three sides", "for example --crop 192,192,64");
    leave_out(training_, plan_);
    train::check(training_);
    if (const auto code = launcher::run_as_world(request_, {argv, argv + argc}, 7 * 86400.0))
      return *code;
    log::set_terminal_level("error");
    listen_for_stop_signals();
    const auto communicator = comm::connect(training_.cluster.comm);
    const TemporaryRun folder;
    training_.run = folder.path();
    train_in(*communicator, folder);
    const int rank = communicator->rank().index;
    board::remove_board(training_.run.string(), rank);
    if (rank == 0) tell(*communicator);
    communicator->close();
    return 0;
  }

 private:
  void train_in(comm::Communicator& communicator, const TemporaryRun& folder) {
    const std::array<std::int64_t, 3> sides{plan_.crop[0], plan_.crop[1], plan_.crop[2]};
    train::TrainingParts parts;
    parts.program = "homolog-bench";
    parts.objective = [&] {
      return Choice::chosen(objectives_, choice_.objectives, choice_.objective)
          .make(Choice::chosen(backbones_, choice_.backbones, choice_.backbone), sides);
    };
    parts.source = [&](const train::Start& start) {
      return std::make_unique<SyntheticSource>(plan_, start, folder);
    };
    try {
      train::run_training_in(communicator, training_, parts, options_);
    } catch (const Enough&) {
    } catch (...) {
      train::rethrow_with_remedy_for_memory();  // the views themselves may be too large
    }
  }

  void tell(const comm::Communicator& communicator) const {
    const auto& c = plan_.crop;
    const auto world = communicator.rank().size;
    json report = {
        {"backbone", choice_.backbone},
        {"objective", choice_.objective},
        {"backend", communicator.backend()},
        {"world", world},
        {"crop", std::to_string(c[0]) + "x" + std::to_string(c[1]) + "x" + std::to_string(c[2])},
        {"pairs_a_step", training_.batch * training_.accumulate * world},
        {"precision", training_.precision},
        {"activation_checkpoint", training_.activation_checkpoint}};
    report.update(report_of(training_.run / "metrics.jsonl", plan_.warm_up));
    if (plan_.json)
      std::printf("%s\n", report.dump(2).c_str());
    else
      print(report);
  }

  StepPlan plan_;
  launcher::LaunchRequest request_;
  train::TrainingPlan training_;
  train::PairSourcePlan pairs_;  // so that a configuration of a real run is understood
  Choice choice_;
  fs::path weights_;
  const std::vector<const backbone::Entry*> backbones_ = backbone::catalog();
  const std::vector<const objective::Entry*> objectives_ = objectives_of(kTrainer);
  Options options_;
};

}  // namespace

int run_step(int argc, char** argv) { return StepBench().run(argc, argv); }

}  // namespace homolog::bench
