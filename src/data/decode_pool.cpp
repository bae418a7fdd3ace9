// A bounded queue of open batches under one mutex.
// The state is shared with the threads, so a hung read can outlive the pool harmlessly.
#include "data/decode_pool.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"

namespace homolog::data {

struct DecodePool::Shared {
  struct Slot {
    PairBatch batch;
    std::int64_t missing = 0;
    std::exception_ptr error;
  };
  Plan plan;
  Work work;
  mutable std::mutex mutex;
  std::condition_variable room, finished;
  std::deque<std::unique_ptr<Slot>> slots;  // of sequences head, head+1, ...
  std::uint64_t head = 0, next_sequence = 0;
  std::int64_t next_row = 0;
  std::uint64_t rows_done = 0;
  bool stop = false, hung = false;
  std::vector<Watch> watches;
  std::vector<std::thread> threads;

  Shared(Plan p, Work w)
      : plan(p), work(std::move(w)), watches(static_cast<std::size_t>(p.threads)) {}
  void run(Watch& watch);
  Slot* take(std::uint64_t& sequence, std::int64_t& row);
};

// The next row to fill, or nullptr at the end. Opens its batch when it is the first row.
DecodePool::Shared::Slot* DecodePool::Shared::take(std::uint64_t& sequence, std::int64_t& row) {
  std::unique_lock lock(mutex);
  room.wait(lock, [this] {
    return stop || next_sequence < head + static_cast<std::uint64_t>(plan.ahead);
  });
  if (stop) return nullptr;
  sequence = next_sequence;
  row = next_row;
  if (row == 0) {
    slots.push_back(std::make_unique<Slot>());
    slots.back()->missing = plan.rows;
    try {
      slots.back()->batch = work.open(sequence);
    } catch (...) {
      slots.back()->error = std::current_exception();
    }
  }
  Slot* slot = slots[static_cast<std::size_t>(sequence - head)].get();
  if (++next_row == plan.rows) {
    next_row = 0;
    ++next_sequence;
  }
  return slot;
}

void DecodePool::Shared::run(Watch& watch) {
  std::uint64_t sequence = 0;
  std::int64_t row = 0;
  while (Slot* slot = take(sequence, row)) {
    std::exception_ptr error;
    try {
      if (!slot->error) work.fill(sequence, row, slot->batch, watch);
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    if (error && !slot->error) slot->error = error;
    ++rows_done;
    if (--slot->missing == 0) finished.notify_all();
  }
}

DecodePool::DecodePool(Plan plan, Work work)
    : shared_(std::make_shared<Shared>(plan, std::move(work))) {
  for (Watch& watch : shared_->watches) {
    watch = -1;
    shared_->threads.emplace_back([shared = shared_, &watch] { shared->run(watch); });
  }
}

DecodePool::~DecodePool() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
  }
  shared_->room.notify_all();
  // Moved out, because a thread left behind must not own its own handle.
  std::vector<std::thread> threads = std::move(shared_->threads);
  for (std::thread& thread : threads) shared_->hung ? thread.detach() : thread.join();
}

PairBatch DecodePool::next() {
  Shared& s = *shared_;
  std::unique_lock lock(s.mutex);
  const auto limit = std::chrono::duration<double>(s.plan.timeout_s);
  const auto due = [&s] { return !s.slots.empty() && s.slots.front()->missing == 0; };
  for (std::uint64_t before = s.rows_done; !s.finished.wait_for(lock, limit, due);
       before = s.rows_done) {
    if (s.rows_done != before) continue;
    s.hung = true;
    std::string reading;
    for (const Watch& watch : s.watches) {
      if (watch >= 0) reading += (reading.empty() ? "" : "; ") + s.work.describe(watch);
    }
    throw Error(Fault::Data,
                "no pair came within " + std::to_string(s.plan.timeout_s) + " s while reading " +
                    (reading.empty() ? "nothing" : reading),
                "check the file system that holds the store, or raise data.read_timeout_s");
  }
  const std::unique_ptr<Shared::Slot> slot = std::move(s.slots.front());
  s.slots.pop_front();
  ++s.head;
  lock.unlock();
  s.room.notify_all();
  if (slot->error) std::rethrow_exception(slot->error);
  return std::move(slot->batch);
}

std::int64_t DecodePool::ready() const {
  const std::lock_guard lock(shared_->mutex);
  std::int64_t count = 0;
  for (const auto& slot : shared_->slots) count += slot->missing == 0;
  return count;
}

}  // namespace homolog::data
