#include "train/checkpoint_writer.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/step_folders.h"

namespace homolog::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBest = "best";  // the link's name

// Copies into the buffers of the last snapshot where shape and type still agree.
void copy_into(TensorFiles& snapshot, const TensorFiles& live) {
  torch::NoGradGuard no_grad;
  for (const auto& [stem, tensors] : live) {
    for (const auto& [name, tensor] : tensors) {
      torch::Tensor& host = snapshot[stem][name];
      if (!host.defined() || host.sizes() != tensor.sizes() ||
          host.scalar_type() != tensor.scalar_type()) {
        host = torch::empty(tensor.sizes(), torch::TensorOptions().dtype(tensor.scalar_type()));
      }
      host.copy_(tensor);
    }
  }
}

}  // namespace

CheckpointWriter::CheckpointWriter(fs::path checkpoints, const CheckpointPlan& plan, bool writes)
    : checkpoints_(std::move(checkpoints)), plan_(plan), writes_(writes) {
  if (!writes_) return;
  remove_leftovers(checkpoints_,
                   [](const std::string& name) { return name == kBest || step_of(name); });
  thread_ = std::thread([this] { work(); });
}

CheckpointWriter::~CheckpointWriter() {
  if (!writes_) return;
  {
    const std::lock_guard lock(mutex_);
    quit_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CheckpointWriter::save(const TrainState& state, const TensorFiles& live, bool best) {
  if (!writes_) return;
  drain();
  copy_into(snapshot_, live);
  state_ = state;
  best_ = best;
  {
    const std::lock_guard lock(mutex_);
    pending_ = true;
  }
  changed_.notify_all();
  if (plan_.synchronous) drain();
}

void CheckpointWriter::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !pending_; });
}

CheckpointWriter::Status CheckpointWriter::status() {
  const std::lock_guard lock(mutex_);
  return status_;
}

void CheckpointWriter::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return pending_ || quit_; });
    if (!pending_) return;
    lock.unlock();
    write();
    lock.lock();
    pending_ = false;
    changed_.notify_all();
  }
}

void CheckpointWriter::write() {
  const Stopwatch watch;
  std::string problem;
  std::int64_t bytes = 0;
  const fs::path folder = checkpoints_ / checkpoint_name(state_.step);
  try {
    bytes = write_checkpoint(folder, state_, snapshot_);
    retain(folder, best_);
  } catch (const std::exception& e) {
    problem = e.what();
    log::error("checkpoint not written", {{"step", state_.step}, {"reason", problem}});
  }
  const std::lock_guard lock(mutex_);
  status_.seconds = watch.seconds();
  status_.last_error = problem;
  if (!problem.empty()) {
    ++status_.failures;
    return;
  }
  status_.last_step = state_.step;
  status_.last_unix = unix_seconds();
  status_.bytes = bytes;
}

// The best one is a link to one of the folders, swapped by rename; that folder outlives the others.
void CheckpointWriter::retain(const fs::path& newest, bool best) {
  const fs::path link = checkpoints_ / kBest;
  if (best) {
    const PendingPath pending(link);
    fs::create_directory_symlink(newest.filename(), pending.temporary());
    fs::rename(pending.temporary(), link);
  }
  std::error_code none;
  const fs::path kept = fs::read_symlink(link, none).filename();
  const auto all = list_checkpoints(checkpoints_);
  for (std::size_t i = 0; i + static_cast<std::size_t>(plan_.keep) < all.size(); ++i) {
    // Under a name that no reader takes for a checkpoint, so that a crash leaves none half deleted.
    if (all[i].filename() == kept || all[i] == newest) continue;
    const fs::path doomed = temporary_beside(all[i]);
    fs::rename(all[i], doomed);
    fs::remove_all(doomed);
  }
}

}  // namespace homolog::train
