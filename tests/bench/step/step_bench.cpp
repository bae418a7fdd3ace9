// bench_step: training steps of the peer's network (peer_step.py) by homolog's engine. Prints one
// JSON object on rank 0: losses, seconds of each step after the first (wall and processor) and of
// its parts, largest resident memory. Alone or under mpirun; each rank takes the same batch.
#include <ATen/Parallel.h>
#include <sys/resource.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/options.h"
#include "base/run_main.h"
#include "cluster/comm/communicator.h"
#include "model/weights/weights_file.h"
#include "tests/bench/step/peer_objective.h"
#include "train/bucket_reducer.h"
#include "train/consensus.h"
#include "train/optimizer.h"

namespace {

using namespace homolog;
using Json = nlohmann::json;

constexpr train::StepRates kRates{1e-4, 0.04, 0.996};

struct Arguments {
  std::string start;  // safetensors: the student's weights, image_B1XYZ and masked_B1XYZ
  bench::PeerPlan plan;
  std::int64_t steps = 3;
  bool update_alone = false, first_allreduce = false, recomputes = false;
};

double seconds_of(clockid_t clock) {
  std::timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Lap {
  double wall = seconds_of(CLOCK_MONOTONIC), processor = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
};

// What the trainer has, without data, checkpoints and reports.
struct Engine {
  bench::PeerObjective objective;
  comm::Communicator& communicator;
  train::GradientArena arena;
  train::BucketReducer reducer;
  train::Optimizer optimizer;
  train::Consensus consensus;
  Json parts = Json::object();

  Engine(const Arguments& a, comm::Communicator& c)
      : objective(a.plan),
        communicator(c),
        arena(objective, 25 << 20, 2),
        reducer(arena, c),
        optimizer(arena, {.clip = 3, .clip_mode = "global"}, 1.0 / c.rank().size),
        consensus(c) {
    if (a.recomputes) objective.set_activations(model::Activations::Recomputed);
  }

  void count(const char* part, Lap& since) {
    const Lap now;
    parts[part]["wall"].push_back(now.wall - since.wall);
    parts[part]["processor"].push_back(now.processor - since.processor);
    since = now;
  }
  void update() {
    const std::vector<std::uint8_t> all(arena.slots().size(), 1);
    Lap lap;
    optimizer.measure();
    count("clip", lap);
    optimizer.apply(kRates, all);
    count("update", lap);
  }
  double step(const objective::Views& views, std::int64_t index) {
    const Lap start;
    Lap lap = start;
    reducer.arm(true, true);
    const objective::Loss loss = objective.evaluate(views, {.step = index});
    count("forward", lap);
    loss.total.backward();
    count("backward", lap);
    reducer.finish();
    count("allreduce_exposed", lap);
    const torch::Tensor norm = optimizer.measure();
    count("clip", lap);
    const train::World world = consensus.agree({.total = loss.total.detach(),
                                                .terms = {},
                                                .statistics = loss.statistics,
                                                .local_maximum = reducer.local_maximum(),
                                                .squared_norm = norm,
                                                .touched = reducer.touched()});
    objective.absorb(world.statistics, communicator.rank().size);
    count("consensus", lap);
    optimizer.apply(kRates, world.touched);
    count("update", lap);
    Lap whole = start;
    count("step", whole);
    return world.total;
  }
};

// The file's batch; its weights go into the engine, and the target starts from them.
objective::Views load(const Arguments& a, Engine& engine) {
  auto tensors = model::read_weights(a.start).tensors;
  objective::Views views;
  for (const char* name : {"image_B1XYZ", "masked_B1XYZ"}) {
    views.tensors[name] = tensors.at(name);
    tensors.erase(name);
  }
  model::load_into(engine.objective.online(), tensors, a.start);
  engine.objective.start_target();
  return views;
}

Json result(const Arguments& a, Engine& engine) {
  Json losses = Json::array();
  if (a.update_alone) {
    for (std::int64_t i = 0; i <= a.steps; ++i) {
      engine.arena.gradients().normal_();
      engine.update();
    }
  } else {
    const objective::Views views = load(a, engine);
    for (std::int64_t i = 0; i <= a.steps; ++i) losses.push_back(engine.step(views, i));
  }
  for (auto& part : engine.parts)
    for (auto& times : part) times.erase(0);  // the first step warms up
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {{"losses", losses},
          {"parts", engine.parts},
          {"rss_mib", static_cast<double>(usage.ru_maxrss) / 1024},
          {"parameters", engine.arena.size()}};
}

int body(int argc, char** argv) {
  Arguments a;
  Options options("bench_step", "--start FILE", "Training steps of the peer's network.");
  options.add("start", a.start, "safetensors that peer_step.py wrote");
  options.add("network", a.plan.network, "backbone", {.choices = {"swin_unetr", "nnformer"}});
  options.add("feature", a.plan.feature, "the backbone's width", {.min = 12});
  options.add("crop", a.plan.crop, "side of the crops", {.min = 32, .unit = "voxels"});
  options.add("steps", a.steps, "after a first one that warms up", {.min = 1});
  options.add("activation-checkpoint", a.recomputes, "as cluster.activation_checkpoint");
  options.add("update-alone", a.update_alone, "clip, update and EMA of random gradients");
  options.add("first-allreduce", a.first_allreduce, "connect, reduce one number, end");
  if (!options.parse(argc, argv)) return 0;
  at::set_num_threads(1);
  const auto communicator = comm::connect({});
  if (a.first_allreduce) {
    double one = 1;
    communicator->all_reduce({&one, 1, comm::Scalar::F64}, comm::Reduce::Sum, "the first");
    communicator->close();
    return one == communicator->rank().size ? 0 : 4;
  }
  Engine engine(a, *communicator);
  const Json told = result(a, engine);
  if (communicator->rank().index == 0) std::printf("%s\n", told.dump().c_str());
  communicator->close();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "bench_step", [&] { return body(argc, argv); });
}
