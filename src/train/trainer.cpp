#include "train/trainer.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cstdlib>
#include <exception>
#include <sstream>
#include <utility>

#include "base/clock.h"
#include "base/counter_rng.h"
#include "base/error.h"
#include "base/log.h"
#include "base/stop_signal.h"
#include "train/tally.h"

namespace homolog::train {

using board::Part;

namespace {

// Torch's own generator (dropout) restarts at every micro batch from what names it, so a resumed
// run draws what the uninterrupted one would have drawn.
void seed_torch(std::uint64_t seed, std::int64_t index, int rank) {
  CounterRng rng(seed, "torch", static_cast<std::uint64_t>(index));
  torch::manual_seed(rng.u64() + static_cast<std::uint64_t>(rank) * 0x9E3779B97F4A7C15ull);
}

double slurm_job_end() {
  const char* text = std::getenv("SLURM_JOB_END_TIME");
  return text == nullptr ? 0 : std::atof(text);
}

}  // namespace

Trainer::Trainer(const TrainerParts& parts, const TrainerPlan& plan, const Schedule& schedule,
                 TrainState state)
    : parts_(parts),
      plan_(plan),
      schedule_(schedule),
      state_(std::move(state)),
      pass_(parts.objective, parts.reducer, parts.arena.device(), plan.records),
      consensus_(parts.communicator),
      buffers_(parts.objective.online()),
      statistics_(parts.objective),
      bad_ranks_(static_cast<std::size_t>(parts.communicator.rank().size), false),
      job_end_unix_(slurm_job_end()) {}

bool Trainer::run() {
  parts_.objective.online().train();
  while (state_.step < schedule_.steps()) {
    StepFacts facts;
    Laps laps(facts.parts);
    const World world = step(facts, laps);
    const bool done = state_.step == schedule_.steps();
    const bool stop =
        !done && (world.stop || (plan_.stop_after > 0 && steps_here_ >= plan_.stop_after));
    if (plan_.check_every > 0 && (state_.step % plan_.check_every == 0 || done)) {
      require_equal_replicas(parts_.communicator, parts_.replica.fingerprint(), state_.step);
    }
    laps.end(Part::Other);
    // Before the checkpoint: a run that ends in between is resumed behind a step that is told.
    parts_.report.step(facts, parts_.checkpoints.status());
    const bool best = schedule_.validates_after(state_.step) && validate(facts.step);
    const bool due =
        plan_.checkpoint.every_steps > 0 && state_.step % plan_.checkpoint.every_steps == 0;
    if (best || due || world.save || stop || done) save(best);
    if (stop) return false;
  }
  return true;
}

World Trainer::step(StepFacts& facts, Laps& laps) {
  facts.step = state_.step;
  facts.epoch = schedule_.epoch_of(state_.step);
  facts.rates = {schedule_.learning_rate(state_.step), schedule_.weight_decay(state_.step),
                 schedule_.ema_momentum(state_.step)};
  facts.gauges = parts_.objective.gauges(facts.epoch);
  laps.add(Part::CheckpointBlock, std::exchange(save_seconds_, 0));
  if (!std::exchange(gradients_are_zero_, false)) parts_.arena.zero_gradients();
  buffers_.keep();
  Tally tally;
  last_ids_.clear();
  for (std::int64_t micro = 0; micro < plan_.accumulate; ++micro) {
    const Batch batch = take_batch(laps);
    seed_torch(state_.seed, state_.step * plan_.accumulate + micro,
               parts_.communicator.rank().index);
    // In the last micro batch buckets depart as they fill.
    const objective::Loss loss = pass_.run(batch.views, info(state_.step, true), micro == 0,
                                           micro + 1 == plan_.accumulate, laps);
    tally.add(loss, 1.0 / static_cast<double>(plan_.accumulate));
    tally.pairs += batch.pairs;
    last_ids_.insert(last_ids_.end(), batch.views.ids.begin(), batch.views.ids.end());
    state_.cursor = batch.next;
  }
  parts_.reducer.finish();
  laps.end(Part::AllReduceExposed);
  const torch::Tensor squared_norm = parts_.optimizer.measure();
  laps.end(Part::Clip);
  Ballot ballot{tally.total,      {},
                tally.statistics, parts_.reducer.local_maximum(),
                squared_norm,     parts_.reducer.touched(),
                wants_stop(),     wants_save()};
  for (const auto& term : tally.terms) ballot.terms.push_back(term.value);
  if (parts_.communicator.rank().size > 1) ballot.running = statistics_.local();
  const World world = consensus_.agree(ballot);
  laps.end(Part::Other);
  if (world.finite) {
    const int contributions = parts_.communicator.rank().size * static_cast<int>(plan_.accumulate);
    if (world.statistics.defined()) parts_.objective.absorb(world.statistics, contributions);
    parts_.optimizer.apply(facts.rates, active_slots(world, facts.epoch));
    gradients_are_zero_ = true;
    statistics_.settle(world.running, parts_.communicator.rank().size);
    laps.end(Part::Optimizer);
  }
  ++state_.step;
  ++steps_here_;
  settle_skipped(world);
  facts.total = world.total;
  facts.gradient_norm = world.gradient_norm;
  for (std::size_t i = 0; i < tally.terms.size(); ++i)
    facts.terms.emplace_back(tally.terms[i].name, world.terms[i]);
  facts.pairs = tally.pairs * parts_.communicator.rank().size;
  facts.skipped = !world.finite;
  facts.nonfinite_here = bad_ranks_[static_cast<std::size_t>(parts_.communicator.rank().index)];
  facts.data = parts_.source.counters();
  facts.allreduce_seconds_total = parts_.communicator.seconds_in_collectives();
  facts.allreduce_bytes_total = parts_.reducer.bytes_sent();
  return world;
}

Batch Trainer::take_batch(Laps& laps) {
  Batch batch = ahead_ ? std::move(*ahead_) : parts_.source.next();
  const bool was_ahead = ahead_.has_value();
  ahead_.reset();
  // The source tells how its time divides; a batch taken ahead spent its own within a save.
  laps.add(Part::HostToDevice, batch.transfer_seconds);
  laps.add(Part::DataWait, batch.wait_seconds);
  if (!was_ahead) {
    laps.end(Part::Other);
    laps.add(Part::Other, -batch.transfer_seconds - batch.wait_seconds);
  }
  if (!state_.next_ids.empty()) {  // the first batch after a resume, on rank 0
    if (batch.views.ids.empty() || batch.views.ids.front() != state_.next_ids.front()) {
      throw Error(Fault::Data,
                  "the stream goes on with sample " +
                      (batch.views.ids.empty() ? std::string("none")
                                               : std::to_string(batch.views.ids.front())) +
                      ", the checkpoint expects " + std::to_string(state_.next_ids.front()),
                  "resume with the store, data.seed and batch that the run began with");
    }
    state_.next_ids.clear();
  }
  return batch;
}

objective::StepInfo Trainer::info(std::int64_t step, bool training) const {
  return {step, schedule_.epoch_of(step), state_.seed, training};
}

std::vector<std::uint8_t> Trainer::active_slots(const World& world, std::int64_t epoch) const {
  std::vector<std::uint8_t> active = world.touched;
  const auto slots = parts_.arena.slots();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (epoch == 0 && slots[i].rule.frozen_first_epoch) active[i] = 0;
  }
  return active;
}

void Trainer::settle_skipped(const World& world) {
  std::fill(bad_ranks_.begin(), bad_ranks_.end(), false);
  if (world.finite) {
    state_.skipped_in_a_row = 0;
    return;
  }
  buffers_.restore();
  std::string ranks;
  for (const int r : world.nonfinite_ranks) {
    bad_ranks_[static_cast<std::size_t>(r)] = true;
    ranks += (ranks.empty() ? "" : ",") + std::to_string(r);
  }
  std::ostringstream ids;
  for (const auto id : last_ids_) ids << (ids.tellp() > 0 ? "," : "") << id;
  log::warn("non-finite numbers: step skipped on all ranks",
            {{"step", state_.step - 1},
             {"found_on", ranks.empty() ? std::string("the sum over ranks") : "rank " + ranks},
             {"samples_here", ids.str()}});
  if (++state_.skipped_in_a_row >= plan_.max_skipped) diverge();
}

void Trainer::diverge() {
  std::ostringstream mine, text;
  const auto rank = static_cast<std::size_t>(parts_.communicator.rank().index);
  if (bad_ranks_[rank]) {
    mine << "\n    rank " << rank << ": samples";
    for (const auto id : last_ids_) mine << " " << id;
  }
  text << "non-finite loss or gradient in " << state_.skipped_in_a_row
       << " steps in a row, last in step " << state_.step - 1;
  for (const auto& line : parts_.communicator.all_gather(mine.str())) text << line;
  throw Error(Fault::Diverged, text.str(),
              "lower schedule.base_lr or optimizer.clip, look at those samples, then resume from "
              "the last checkpoint");
}

bool Trainer::wants_stop() const {
  if (stop_signals_received() > 0) return true;
  return job_end_unix_ > 0 && unix_seconds() + plan_.checkpoint.margin_s > job_end_unix_;
}

bool Trainer::wants_save() const {
  return parts_.communicator.rank().index == 0 && plan_.checkpoint.every_s > 0 &&
         since_save_.seconds() >= plan_.checkpoint.every_s;
}

void Trainer::save(bool best) {
  const Stopwatch watch;
  parts_.report.phase(board::Phase::Save);
  TrainState snapshot = state_;
  std::exception_ptr fault;
  double batch_seconds = 0;  // of the batch taken here, told by the step that trains on it
  // Rank 0 alone writes, so a source that fails on another rank ends no checkpoint here.
  if (state_.step < schedule_.steps() && parts_.communicator.rank().index == 0) {
    try {
      if (!ahead_) {
        ahead_ = parts_.source.next();
        batch_seconds = ahead_->wait_seconds + ahead_->transfer_seconds;
      }
      snapshot.next_ids = ahead_->views.ids;
    } catch (...) {
      fault = std::current_exception();  // what was learnt so far is saved all the same
    }
  }
  parts_.checkpoints.save(snapshot, parts_.replica.tensors(), best);
  if (fault) {
    parts_.checkpoints.drain();
    std::rethrow_exception(fault);
  }
  since_save_ = Stopwatch();
  save_seconds_ = watch.seconds() - batch_seconds;
  parts_.report.phase(board::Phase::Train);
}

// Each rank takes its share; means over the samples of all. Nothing is changed by it.
bool Trainer::validate(std::int64_t step) {
  parts_.report.phase(board::Phase::Validate);
  const torch::NoGradGuard no_grad;
  parts_.objective.online().eval();
  std::vector<double> sums(2 + board::kMaxTerms, 0.0);  // [samples, total, terms...]
  for (std::int64_t i = 0; i < parts_.source.validation_batches(); ++i) {
    const Batch batch = parts_.source.validation_batch(i);
    seed_torch(state_.seed ^ 0x56414C, i, 0);
    const objective::Loss loss = parts_.objective.evaluate(batch.views, info(step, false));
    const auto weight = static_cast<double>(batch.pairs);
    sums[0] += weight;
    sums[1] += weight * loss.total.item<double>();
    term_names_.clear();
    for (const auto& term : loss.terms) {
      if (term_names_.size() == board::kMaxTerms) break;
      sums[2 + term_names_.size()] += weight * term.value.item<double>();
      term_names_.push_back(term.name);
    }
  }
  parts_.objective.online().train();
  parts_.communicator.all_reduce({sums.data(), sums.size(), comm::Scalar::F64}, comm::Reduce::Sum,
                                 "validation");
  if (sums[0] == 0) return false;
  state_.last_validation = sums[1] / sums[0];
  const bool best = state_.last_validation < state_.best_validation;
  if (best) {
    state_.best_validation = state_.last_validation;
    state_.best_step = state_.step;
  }
  std::vector<std::pair<std::string, double>> terms;
  for (std::size_t i = 0; i < term_names_.size(); ++i)
    terms.emplace_back(term_names_[i], sums[2 + i] / sums[0]);
  parts_.report.validation(step, schedule_.epoch_of(step), state_.last_validation,
                           state_.best_validation, terms);
  parts_.report.phase(board::Phase::Train);
  return best;
}

}  // namespace homolog::train
