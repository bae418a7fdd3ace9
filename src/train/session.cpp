#include "train/session.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cstdlib>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stop_signal.h"
#include "build_info.h"
#include "train/device.h"
#include "train/fence.h"
#include "train/impatience_watch.h"
#include "train/memory_fault.h"
#include "train/on_first.h"
#include "train/resume.h"
#include "train/trainer.h"

namespace homolog::train {
namespace {

// Ranks that went on, stopped or started otherwise than rank 0 would wait for each other.
std::string handshake_lines(const TrainingPlan& plan, const TrainState& fresh) {
  std::string lines = "program version=" + std::string(HOMOLOG_VERSION) + " " + HOMOLOG_COMMIT +
                      "\nprogram file=" + hex64(xxh3_64_file("/proc/self/exe")) +
                      "\nnumber of workers=" + std::to_string(fresh.world) + "\n";
  for (const auto& [key, value] : fresh.identity) lines += key + "=" + value + "\n";
  for (const auto& [key, value] : flat_settings(fresh.config)) {
    if (key != "cluster.rendezvous") lines += key + "=" + value + "\n";  // they have met
  }
  return lines + "--max-steps-this-run=" + std::to_string(plan.stop_after) +
         "\n--resume=" + plan.resume + "\n--from=" + plan.from.string() +
         "\n--overwrite=" + (plan.overwrite ? "true" : "false") + "\n--device=" + plan.device +
         "\n";
}

// What lives as long as a run, built in this order.
struct Engine {
  std::unique_ptr<objective::Objective> objective;
  GradientArena arena;
  Optimizer optimizer;
  Replica replica;

  Engine(const TrainingPlan& plan, std::unique_ptr<objective::Objective> made, int world)
      : objective(std::move(made)),
        arena(*objective, static_cast<std::int64_t>(plan.cluster.bucket_mb * 1024 * 1024),
              plan.optimizer.name == "adamw" ? 2 : 1),
        optimizer(arena, plan.optimizer, 1.0 / static_cast<double>(world * plan.accumulate)),
        replica(*objective, arena, optimizer) {}
};

std::unique_ptr<objective::Objective> build_objective(const TrainingPlan& plan,
                                                      const TrainingParts& parts,
                                                      torch::Device device) {
  const model::Precision precision = model::precision_named(plan.precision);
  model::require_precision(precision, device);
  auto objective = parts.objective();
  objective->set_precision(precision);
  objective->set_activations(activations_of(plan));
  objective->online().to(device);
  if (objective->target() != nullptr) {
    objective->target()->to(device);
    objective->target()->eval();
  }
  return objective;
}

// Rank 0 reads and fills; all ranks hear what the run's identity says of it.
void start_from_weights(const TrainingParts& parts, objective::Objective& objective,
                        comm::Communicator& communicator, TrainState& state) {
  const std::string told = on_first(communicator, [&] {
    TrainState with = state;
    for (const auto& [key, value] : parts.initial_weights(objective)) with.identity[key] = value;
    return state_text(with);
  });
  state.identity = state_from_text(told).identity;
}

RunManifest manifest_of(const TrainingParts& parts, const TrainState& fresh,
                        const TrainState& state) {
  return {
      parts.program, state.config, utc_timestamp(), fresh.world, state.step > 0 ? state.step : -1,
      state.identity};
}

// Until the last checkpoint is on disk. True: the schedule's end was reached.
bool run_to_end(Trainer& trainer, CheckpointWriter& checkpoints, RunReport& report,
                const RunFolder& folder) {
  bool finished = false;
  try {
    finished = trainer.run();
  } catch (...) {
    report.phase(board::Phase::Failed);
    rethrow_with_remedy_for_memory();
  }
  checkpoints.drain();
  report.phase(finished ? board::Phase::Done : board::Phase::Stopping);
  if (const auto status = checkpoints.status(); !status.last_error.empty()) {
    throw Error(Fault::Environment,
                "the last checkpoint could not be written: " + status.last_error,
                "free space under " + folder.path().string() + ", then resume");
  }
  return finished;
}

bool train(const TrainingPlan& plan, Engine& engine, Source& source,
           comm::Communicator& communicator, const Fence& fence, const RunFolder& folder,
           TrainState state) {
  const auto& rank = communicator.rank();
  const Schedule schedule(plan.schedule, source.steps_per_epoch(), state.global_batch);
  if (state.step > 0 && state.steps != schedule.steps()) {
    log::warn("the schedule has another length now",
              {{"before", state.steps}, {"now", schedule.steps()}});
  }
  state.steps = schedule.steps();
  BucketReducer reducer(engine.arena, communicator);
  CheckpointWriter checkpoints(folder.checkpoints(), plan.checkpoint, rank.index == 0);
  RunReport report(folder, {rank.index, rank.local_index, rank.size, schedule.steps(),
                            schedule.steps_per_epoch(), schedule.epochs(), state.step});
  log::info("training", {{"steps", schedule.steps()},
                         {"epochs", schedule.epochs()},
                         {"from_step", state.step},
                         {"workers", rank.size},
                         {"backend", communicator.backend()},
                         {"global_batch", state.global_batch},
                         {"parameters", engine.arena.size()},
                         {"buckets", engine.arena.buckets().size()},
                         {"peak_lr", schedule.peak()}});
  if (rank.index == 0 && plan.schedule.validate_every > 0 && source.validation_batches() == 0)
    log::warn("no validation: the data hold no pair for it", {});
  Trainer trainer(
      {*engine.objective, source, communicator, engine.arena, reducer, engine.optimizer,
       engine.replica, checkpoints, report},
      {plan.accumulate, plan.cuda_graph && engine.arena.device().is_cuda(),
       plan.schedule.max_skipped, plan.cluster.check_every, plan.stop_after, plan.checkpoint},
      schedule, state);
  return fence.run([&] {
    const bool finished = run_to_end(trainer, checkpoints, report, folder);
    communicator.barrier();  // nobody leaves before the checkpoint exists
    log::info(finished ? "finished" : "stopped; --resume auto goes on",
              {{"step", trainer.state().step}});
    return finished;
  });
}

// A launcher shows the last state and removes the board then; alone nobody would.
void remove_own_board(const TrainingPlan& plan, int rank) {
  if (std::getenv("HOMOLOG_LAUNCHED") == nullptr) board::remove_board(plan.run.string(), rank);
}

int train_in(comm::Communicator& communicator, const TrainingPlan& plan, const TrainingParts& parts,
             const Options& options, const Fence& fence) {
  const auto& rank = communicator.rank();
  TrainState fresh;
  fresh.seed = plan.seed;
  fresh.world = rank.size;
  fresh.global_batch = plan.batch * plan.accumulate * rank.size;
  fresh.config = options.dump();
  fresh.identity = parts.identity;
  require_equal_settings(communicator, handshake_lines(plan, fresh));
  const RunFolder folder(plan.run);
  const auto lock = folder.hold(communicator);
  log::open(folder.log(rank.index), rank.index);
  if (rank.index != 0) log::set_terminal_level("warn");

  const torch::Device device = choose_device(plan.device, communicator);
  prepare_torch(plan.seed, plan.deterministic);
  if (plan.cuda_graph) leave_default_stream(device);
  if (plan.cuda_graph && !device.is_cuda())
    log::info("cluster.cuda_graph: nothing is recorded on a CPU", {});
  Engine engine(plan, build_objective(plan, parts, device), rank.size);
  const auto parameters = engine.objective->online().named_parameters();
  const auto buffers = engine.objective->online().named_buffers();
  fresh.exported_prefix = engine.objective->exported_prefix();
  fresh.monai = engine.objective->monai();
  for (const auto* items : {&parameters, &buffers}) {
    for (const auto& item : *items) {
      if (engine.objective->is_exported(item.key())) fresh.exported.push_back(item.key());
    }
  }
  TrainState state = resume({plan.resume, plan.from, plan.overwrite, options.dump_defaults()},
                            folder, fresh, engine.replica, communicator);
  if (state.step == 0 && parts.initial_weights)
    start_from_weights(parts, *engine.objective, communicator, state);
  engine.replica.broadcast(communicator);
  const auto source = parts.source(
      {state.cursor, rank.index, rank.size, plan.batch, plan.accumulate, plan.seed, device});
  return fence.run([&] {
    if (rank.index == 0) folder.write(manifest_of(parts, fresh, state));
    return train(plan, engine, *source, communicator, fence, folder, state)
               ? 0
               : exit_code(Fault::Stopped);
  });
}

}  // namespace

void declare(Options& o, TrainingPlan& p) {
  o.add("run", p.run, "folder of this run: configuration, logs, checkpoints", {.required = true});
  o.add("resume", p.resume,
        "newest whole checkpoint if any; none of them; or exactly the one of --from",
        {.choices = {"auto", "none", "exact"}});
  o.add("from", p.from,
        "with --resume exact: the checkpoint folder; default the newest of the run");
  o.add("overwrite", p.overwrite, "with --resume none: remove this run's checkpoints and metrics");
  o.add("max-steps-this-run", p.stop_after,
        "stop after so many steps, resumable (exit 75); 0: no limit", {.min = 0});
  o.add("device", p.device, "where to train", {.choices = {"auto", "cpu", "cuda"}});
  declare_recipe(o, p);
}

void declare_recipe(Options& o, TrainingPlan& p) {
  o.add("data.batch", p.batch, "samples per worker and forward pass", {.min = 1, .max = 1e6});
  o.add("data.accumulate", p.accumulate, "forward passes per optimiser step",
        {.min = 1, .max = 1e6});
  o.add("data.seed", p.seed, "of order, augmentation, masks and initial weights");
  declare(o, p.optimizer);
  declare(o, p.schedule);
  declare(o, p.checkpoint);
  declare(o, p.cluster);
  o.add(
      "cluster.deterministic", p.deterministic,
      "only repeatable algorithms, so that runs agree bit for bit; on a GPU also full fp32, where "
      "otherwise matrix products and convolutions may use TF32");
  o.add("cluster.precision", p.precision,
        "what networks compute in; weights, gradients, softmax, losses and centres stay float32",
        {.choices = {"float32", "bf16"}});
  o.add("cluster.cuda_graph", p.cuda_graph,
        "on a GPU: record a step's forward and backward pass once an epoch and launch them as one "
        "piece, which spares the host; gradients then leave behind the pass, not during it. What "
        "cannot be recorded is issued anew each time, with a warning. On a CPU it records nothing");
  o.add("cluster.activation_checkpoint", p.activation_checkpoint,
        "recompute the insides of the network's blocks in backward instead of keeping them: costs "
        "up to one forward pass more, a quarter of a step, for less memory of activations (homolog "
        "plan says how much); changes rounding alone, so also on resume");
}

model::Activations activations_of(const TrainingPlan& plan) {
  return plan.activation_checkpoint ? model::Activations::Recomputed : model::Activations::Kept;
}

void check(const TrainingPlan& plan) {
  if (plan.overwrite && plan.resume != "none")
    throw Error(Fault::Usage, "--overwrite goes with --resume none alone",
                "give both to start afresh, or leave --overwrite out to go on");
  if (!plan.from.empty() && plan.resume != "exact")
    throw Error(Fault::Usage, "--from goes with --resume exact alone",
                "give both to go back to that checkpoint, or leave --from out to go on");
  check(plan.schedule);
}

int run_training_in(comm::Communicator& communicator, const TrainingPlan& plan,
                    const TrainingParts& parts, const Options& options) {
  return train_in(communicator, plan, parts, options, Fence(communicator, false));
}

int run_training(const TrainingPlan& plan, const TrainingParts& parts, const Options& options) {
  check(plan);
  listen_for_stop_signals();
  const auto communicator = join_world(plan.cluster, plan.run);
  const auto& rank = communicator->rank();
  const ImpatienceWatch watch(plan.run);
  const Fence fence(*communicator, true);
  try {
    return fence.run([&] {
      const int code = train_in(*communicator, plan, parts, options, fence);
      communicator->close();
      remove_own_board(plan, rank.index);
      return code;
    });
  } catch (const Error& e) {
    if (rank.size == 1) throw;
    communicator->close();
    if (rank.index == 0) throw;
    return exit_code(e.fault());  // rank 0 tells it
  }
}

}  // namespace homolog::train
