#include "cluster/comm/wire_thread.h"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <exception>
#include <mutex>

#include "base/clock.h"
#include "base/error.h"

namespace homolog::comm {
namespace {

constexpr auto kIdleEvery = std::chrono::milliseconds(200);

std::chrono::duration<double> seconds(double value) { return std::chrono::duration<double>(value); }

}  // namespace

struct WireThread::State {
  struct Entry {
    Ticket ticket;
    std::string purpose;
    Job job;
  };
  explicit State(Parts given) : parts(std::move(given)) {}

  Parts parts;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<Entry> queue;  // the front one is running
  Ticket submitted = 0, completed = 0;
  bool ready = false, closing = false, ended = false;
  std::string failure;  // not empty: nothing more will complete
  std::atomic<double> busy_s{0};

  bool abandoned() const { return *parts.abandoned; }
  void abandon() {
    *parts.abandoned = true;
    changed.notify_all();
  }
  // Runs a part that may fail. False: it did, or was given up.
  bool attempt(const Job& part) {
    try {
      part();
      return true;
    } catch (const Abandoned&) {
      return false;
    } catch (const std::exception& e) {
      std::lock_guard lock(mutex);
      if (failure.empty()) failure = e.what();
      changed.notify_all();
      return false;
    }
  }
};

// False: there will be none.
bool WireThread::next_job(State& state, Job& job) {
  std::unique_lock lock(state.mutex);
  const auto any = [&] { return !state.queue.empty() || state.closing || state.abandoned(); };
  if (!state.parts.idle) state.changed.wait(lock, any);
  while (!state.changed.wait_for(lock, kIdleEvery, any)) {
    lock.unlock();
    if (!state.attempt(state.parts.idle)) return false;
    lock.lock();
  }
  if (state.abandoned() || state.queue.empty()) return false;
  job = std::move(state.queue.front().job);
  return true;
}

void WireThread::work(std::shared_ptr<State> state) {
  bool good = state->attempt(state->parts.begin);
  {
    std::lock_guard lock(state->mutex);
    state->ready = good;
    state->changed.notify_all();
  }
  for (Job job; good && next_job(*state, job);) {
    const Stopwatch watch;
    good = state->attempt(job);
    if (!good) {
      if (state->parts.keeps_memory) new Job(std::move(job));  // never freed
      break;
    }
    job = {};
    std::lock_guard lock(state->mutex);
    state->busy_s = state->busy_s + watch.seconds();
    state->completed = state->queue.front().ticket;
    state->queue.pop_front();
    state->changed.notify_all();
  }
  bool finish;
  {
    std::lock_guard lock(state->mutex);
    finish = state->closing && !state->abandoned() && state->failure.empty();
  }
  if (finish) state->attempt(state->parts.end);
  std::lock_guard lock(state->mutex);
  state->ended = true;
  state->changed.notify_all();
}

WireThread::WireThread(double timeout_s, Parts parts)
    : state_(std::make_shared<State>(std::move(parts))),
      timeout_s_(timeout_s),
      exceptions_at_start_(std::uncaught_exceptions()) {
  thread_ = std::thread(work, state_);
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, seconds(timeout_s + state_->parts.grace_s),
                           [&] { return state_->ready || !state_->failure.empty(); });
  if (state_->ready) return;
  const std::string why = state_->failure;
  state_->abandon();
  thread_.detach();
  throw Error(
      Fault::Environment,
      why.empty() ? state_->parts.begins + " did not return within " + human_duration(timeout_s)
                  : why,
      "a rank never arrived: see the launcher's report, and that every host reaches the others");
}

WireThread::~WireThread() {
  if (closed_) return;
  bool idle;
  {
    std::lock_guard lock(state_->mutex);
    idle = state_->queue.empty() && state_->failure.empty();
  }
  if (idle && std::uncaught_exceptions() == exceptions_at_start_) {
    try {
      close();
      return;
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());  // a destructor has no other way to tell
    }
  }
  if (!thread_.joinable()) return;
  std::unique_lock lock(state_->mutex);
  state_->abandon();
  const bool ended =
      state_->changed.wait_for(lock, std::chrono::seconds(1), [&] { return state_->ended; });
  lock.unlock();
  if (ended)
    thread_.join();
  else
    thread_.detach();  // it hangs in a call; the process is on its way out
}

Ticket WireThread::submit(std::string purpose, Job job) {
  std::lock_guard lock(state_->mutex);
  const Ticket ticket = ++state_->submitted;
  state_->queue.push_back({ticket, std::move(purpose), std::move(job)});
  state_->changed.notify_all();
  return ticket;
}

void WireThread::wait(Ticket ticket) {
  std::unique_lock lock(state_->mutex);
  const auto done = [&] { return state_->completed >= ticket || !state_->failure.empty(); };
  const bool in_time =
      state_->changed.wait_for(lock, seconds(timeout_s_ + state_->parts.grace_s), done);
  if (state_->completed >= ticket) return;
  std::string text = who_ + ": ";
  if (state_->queue.empty())
    text += "collective " + std::to_string(ticket);
  else
    text += "'" + state_->queue.front().purpose + "' (collective " +
            std::to_string(state_->queue.front().ticket) + ")";
  if (in_time) throw Error(Fault::Environment, text + " failed: " + state_->failure);
  text += " did not finish within " + human_duration(timeout_s_);
  state_->failure = text;
  state_->abandon();
  // The caller may free its buffer next.
  state_->changed.wait_for(lock, std::chrono::seconds(1), [&] { return state_->ended; });
  throw Error(Fault::Environment, text,
              "a rank is dead, stopped or much slower than the others: the rank whose log ends "
              "first is the one");
}

std::string WireThread::failure() const {
  std::lock_guard lock(state_->mutex);
  return state_->failure;
}

double WireThread::busy_seconds() const noexcept { return state_->busy_s; }

void WireThread::close() {
  if (closed_) return;
  std::unique_lock lock(state_->mutex);
  state_->closing = true;
  state_->changed.notify_all();
  const bool ended = state_->changed.wait_for(lock, seconds(timeout_s_ + state_->parts.grace_s),
                                              [&] { return state_->ended; });
  const std::string failure = state_->failure;
  lock.unlock();
  closed_ = true;
  if (ended)
    thread_.join();
  else
    thread_.detach();
  if (!failure.empty()) throw Error(Fault::Environment, who_ + ": " + failure);
  if (!ended) {
    throw Error(
        Fault::Environment,
        who_ + ": " + state_->parts.ends + " did not return within " + human_duration(timeout_s_),
        "a rank is dead or still training: see the other logs");
  }
}

}  // namespace homolog::comm
