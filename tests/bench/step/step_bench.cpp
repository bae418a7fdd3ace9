// bench_step: training steps of the peer's network (peer_step.py) by homolog's engine. Prints one
// JSON object on rank 0: losses, seconds of each step after the first (wall and processor) and of
// its parts, largest resident memory. Alone or under mpirun; each rank takes the same batch.
// On a GPU a step ends when the device is done, and its parts when the host has issued them; also
// told: the host's milliseconds in a step without its wait for the device (host_ms), peak memory,
// whether passes were recorded.
#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <sys/resource.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/options.h"
#include "base/run_main.h"
#include "cluster/comm/communicator.h"
#include "model/weights/weights_file.h"
#include "tests/bench/step/peer_objective.h"
#include "train/bucket_reducer.h"
#include "train/consensus.h"
#include "train/device.h"
#include "train/gradient_pass.h"
#include "train/optimizer.h"

namespace {

using namespace homolog;
using Json = nlohmann::json;

constexpr train::StepRates kRates{1e-4, 0.04, 0.996};

struct Arguments {
  std::string start;  // safetensors: the student's weights, image_B1XYZ and masked_B1XYZ
  std::string device = "cpu", precision = "float32";
  bench::PeerPlan plan;
  std::vector<std::int64_t> crop = {32};
  std::int64_t steps = 3;
  bool update_alone = false, first_allreduce = false, recomputes = false, records = false;
};

double seconds_of(clockid_t clock) {
  std::timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Lap {
  double wall = seconds_of(CLOCK_MONOTONIC), processor = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
};

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// A GPU is set up as by a run that is not deterministic.
torch::Device device_of(const Arguments& a, const comm::Communicator& communicator) {
  if (a.device == "cpu") return torch::kCPU;
  const torch::Device device = train::choose_device(a.device, communicator);
  train::prepare_torch(/*seed=*/1, /*deterministic=*/false);
  if (a.records) train::leave_default_stream(device);
  return device;
}

std::unique_ptr<bench::PeerObjective> objective_of(const Arguments& a, torch::Device device) {
  const model::Precision precision = model::precision_named(a.precision);
  auto objective = std::make_unique<bench::PeerObjective>(a.plan);
  objective->set_precision(precision);
  if (a.recomputes) objective->set_activations(model::Activations::Recomputed);
  objective->move_to(device);
  return objective;
}

// What the trainer has, without data, checkpoints and reports.
struct Engine {
  torch::Device device;
  std::unique_ptr<bench::PeerObjective> held;
  bench::PeerObjective& objective = *held;
  comm::Communicator& communicator;
  train::GradientArena arena;
  train::BucketReducer reducer;
  train::GradientPass pass;  // on a GPU
  train::Optimizer optimizer;
  train::Consensus consensus;
  Json parts = Json::object();
  std::vector<double> host_ms;  // of each step on a GPU

  Engine(const Arguments& a, comm::Communicator& c)
      : device(device_of(a, c)),
        held(objective_of(a, device)),
        communicator(c),
        arena(objective, 25 << 20, 2),
        reducer(arena, c),
        pass(objective, reducer, device, a.records && device.is_cuda()),
        optimizer(arena, {.clip = 3, .clip_mode = "global"}, 1.0 / c.rank().size),
        consensus(c) {}

  void settle() const {
    if (device.is_cuda()) torch::cuda::synchronize(device.index());
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
  objective::Loss gradients_of(const objective::Views& views, std::int64_t index, Lap& lap) {
    if (device.is_cuda()) {
      train::PartSeconds parts_of_pass{};
      train::Laps laps(parts_of_pass);
      const objective::Loss loss = pass.run(views, {.step = index}, true, true, laps);
      count("pass", lap);
      return loss;
    }
    reducer.arm(true, true);
    const objective::Loss loss = objective.evaluate(views, {.step = index});
    count("forward", lap);
    loss.total.backward();
    count("backward", lap);
    return loss;
  }
  // The consensus reads what backward leaves: the one place where a step's host has to wait. Here
  // it does so beforehand, so that the wait is told apart from the work.
  double wait_for_device(Lap& lap) {
    if (!device.is_cuda()) return 0;
    const Lap before = lap;
    settle();
    count("device_wait", lap);
    return lap.wall - before.wall;
  }
  double step(const objective::Views& views, std::int64_t index) {
    settle();
    const Lap start;
    Lap lap = start;
    const objective::Loss loss = gradients_of(views, index, lap);
    reducer.finish();
    count("allreduce_exposed", lap);
    const torch::Tensor norm = optimizer.measure();
    count("clip", lap);
    const double waited = wait_for_device(lap);
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
    if (device.is_cuda()) host_ms.push_back((lap.wall - start.wall - waited) * 1e3);
    settle();
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
    views.tensors[name] = tensors.at(name).to(engine.device);
    tensors.erase(name);
  }
  model::load_into(engine.objective.online(), tensors, a.start);
  engine.objective.start_target();
  return views;
}

// The most that tensors held of a GPU's memory since the first step.
double peak_mib(torch::Device device) {
  const auto stats = c10::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  return static_cast<double>(stats.allocated_bytes[0].peak) / (1 << 20);  // [0]: of all pools
}

Json result(const Arguments& a, Engine& engine) {
  Json losses = Json::array();
  const bool on_gpu = engine.device.is_cuda();
  if (a.update_alone) {
    for (std::int64_t i = 0; i <= a.steps; ++i) {
      engine.arena.gradients().normal_();
      engine.update();
    }
  } else {
    const objective::Views views = load(a, engine);
    for (std::int64_t i = 0; i <= a.steps; ++i) {
      losses.push_back(engine.step(views, i));
      if (i == 0 && on_gpu) c10::getDeviceAllocator(torch::kCUDA)->resetPeakStats(0);
    }
  }
  for (auto& part : engine.parts)
    for (auto& times : part) times.erase(0);  // the first step warms up
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  Json told = {{"losses", losses},
               {"parts", engine.parts},
               {"rss_mib", static_cast<double>(usage.ru_maxrss) / 1024},
               {"parameters", engine.arena.size()}};
  if (on_gpu) {
    told["host_ms"] = median_of({engine.host_ms.begin() + 1, engine.host_ms.end()});
    told["peak_mib"] = peak_mib(engine.device);
    told["recorded"] = engine.pass.is_recorded();
  }
  return told;
}

backbone::Size3 sides_of(const std::vector<std::int64_t>& crop) {
  if (crop.size() == 1) return {crop[0], crop[0], crop[0]};
  if (crop.size() == 3) return {crop[0], crop[1], crop[2]};
  throw Error(Fault::Usage, "--crop wants one side or three", "for example --crop 96,96,64");
}

int body(int argc, char** argv) {
  Arguments a;
  Options options("bench_step", "--start FILE", "Training steps of the peer's network.");
  options.add("start", a.start, "safetensors that peer_step.py wrote");
  options.add("network", a.plan.network, "backbone", {.choices = {"swin_unetr", "nnformer"}});
  options.add("feature", a.plan.feature, "the backbone's width", {.min = 12});
  options.add("crop", a.crop, "side of the crops, or X,Y,Z", {.min = 32, .unit = "voxels"});
  options.add("device", a.device, "where", {.choices = {"cpu", "cuda"}});
  options.add("precision", a.precision, "as cluster.precision", {.choices = {"float32", "bf16"}});
  options.add("steps", a.steps, "after a first one that warms up", {.min = 1});
  options.add("activation-checkpoint", a.recomputes, "as cluster.activation_checkpoint");
  options.add("cuda-graph", a.records, "as cluster.cuda_graph");
  options.add("update-alone", a.update_alone, "clip, update and EMA of random gradients");
  options.add("first-allreduce", a.first_allreduce, "connect, reduce one number, end");
  if (!options.parse(argc, argv)) return 0;
  a.plan.crop = sides_of(a.crop);
  if (a.update_alone && a.device == "cuda")
    throw Error(Fault::Usage, "--update-alone measures CPUs", "on a GPU: homolog bench update");
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
