#include "cluster/comm/mpi_engine.h"

#include <sched.h>
#include <sys/prctl.h>

#include <chrono>
#include <cstdio>
#include <exception>

#include "base/clock.h"
#include "base/error.h"

namespace homolog::comm {
namespace {

struct Abandoned {};  // thrown on the engine's thread when the waiting side has given up

// A spinning MPI_Wait would take a core from the computing threads, so: yield first, then sleep.
constexpr auto kSpinFor = std::chrono::microseconds(200);
constexpr auto kNap = std::chrono::microseconds(20);

std::chrono::duration<double> seconds(double value) { return std::chrono::duration<double>(value); }

}  // namespace

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(Fault::Environment,
              std::string(call) + ": " + std::string(text, static_cast<std::size_t>(length)),
              "another rank has probably died: see its log");
}

struct MpiEngine::State {
  struct Entry {
    Ticket ticket;
    std::string purpose;
    Job job;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Entry> queue;  // the front one is running
  Ticket submitted = 0, completed = 0;
  bool ready = false, closing = false, ended = false;
  std::string failure;  // not empty: nothing more will complete
  std::atomic<bool> abandoned{false};
  std::atomic<double> busy_s{0};
  MPI_Comm world = MPI_COMM_NULL;

  void fail(const std::string& text) {
    std::lock_guard lock(mutex);
    if (failure.empty()) failure = text;
    changed.notify_all();
  }
};

MPI_Comm MpiEngine::Worker::world() const { return state_.world; }

void MpiEngine::Worker::finish(MPI_Request& request) {
  const auto start = std::chrono::steady_clock::now();
  for (int done = 0;;) {
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done) return;
    if (state_.abandoned.load(std::memory_order_relaxed)) throw Abandoned{};
    if (std::chrono::steady_clock::now() - start < kSpinFor)
      ::sched_yield();
    else
      std::this_thread::sleep_for(kNap);
  }
}

bool MpiEngine::initialise(State& state) {
  ::prctl(PR_SET_TIMERSLACK, 1000UL);  // else a nap of 20 us lasts 70
  int provided = 0;
  // This thread makes all calls, so FUNNELED would do; SERIALIZED asks the library to expect that
  // the thread that started the process is another one.
  int code = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
  if (code == MPI_SUCCESS) code = MPI_Comm_dup(MPI_COMM_WORLD, &state.world);
  if (code != MPI_SUCCESS) {
    state.fail("MPI_Init_thread failed with code " + std::to_string(code));
    return false;
  }
  MPI_Comm_set_errhandler(state.world, MPI_ERRORS_RETURN);
  std::lock_guard lock(state.mutex);
  state.ready = true;
  state.changed.notify_all();
  return true;
}

void MpiEngine::work(std::shared_ptr<State> state) {
  bool good = initialise(*state);
  Worker worker(*state);
  while (good) {
    Job job;
    {
      std::unique_lock lock(state->mutex);
      state->changed.wait(
          lock, [&] { return !state->queue.empty() || state->closing || state->abandoned; });
      if (state->abandoned || state->queue.empty()) break;
      job = std::move(state->queue.front().job);
    }
    const Stopwatch watch;
    try {
      job(worker);
    } catch (const Abandoned&) {
      new Job(std::move(job));  // never freed: a peer may still write into its memory
      break;
    } catch (const std::exception& e) {
      state->fail(e.what());
      break;
    }
    std::lock_guard lock(state->mutex);
    state->busy_s = state->busy_s + watch.seconds();
    state->completed = state->queue.front().ticket;
    state->queue.pop_front();
    state->changed.notify_all();
  }
  bool finalize;
  {
    std::lock_guard lock(state->mutex);
    finalize = state->closing && !state->abandoned && state->failure.empty();
  }
  if (finalize) {
    MPI_Comm_free(&state->world);
    MPI_Finalize();  // has to be the thread that called MPI_Init_thread
  }
  std::lock_guard lock(state->mutex);
  state->ended = true;
  state->changed.notify_all();
}

MpiEngine::MpiEngine(double timeout_s)
    : state_(std::make_shared<State>()),
      timeout_s_(timeout_s),
      exceptions_at_start_(std::uncaught_exceptions()) {
  thread_ = std::thread(work, state_);
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_for(lock, seconds(timeout_s),
                           [&] { return state_->ready || !state_->failure.empty(); });
  if (state_->ready) return;
  const std::string why = state_->failure;
  state_->abandoned = true;
  thread_.detach();
  throw Error(
      Fault::Environment,
      why.empty() ? "MPI_Init_thread did not return within " + human_duration(timeout_s) : why,
      "a rank never arrived: see the launcher's report, and that every host reaches the others");
}

MpiEngine::~MpiEngine() {
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
  {
    std::lock_guard lock(state_->mutex);
    state_->abandoned = true;
    state_->changed.notify_all();
  }
  std::unique_lock lock(state_->mutex);
  const bool ended =
      state_->changed.wait_for(lock, std::chrono::seconds(1), [&] { return state_->ended; });
  lock.unlock();
  if (ended)
    thread_.join();
  else
    thread_.detach();  // stuck inside MPI; the process is on its way out
}

Ticket MpiEngine::submit(std::string purpose, Job job) {
  std::lock_guard lock(state_->mutex);
  const Ticket ticket = ++state_->submitted;
  state_->queue.push_back({ticket, std::move(purpose), std::move(job)});
  state_->changed.notify_all();
  return ticket;
}

void MpiEngine::wait(Ticket ticket) {
  std::unique_lock lock(state_->mutex);
  const auto done = [&] { return state_->completed >= ticket || !state_->failure.empty(); };
  const bool in_time = state_->changed.wait_for(lock, seconds(timeout_s_), done);
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
  state_->abandoned = true;
  state_->changed.notify_all();
  throw Error(Fault::Environment, text,
              "a rank is dead, stopped or much slower than the others: the rank whose log ends "
              "first is the one");
}

double MpiEngine::busy_seconds() const noexcept { return state_->busy_s; }

void MpiEngine::close() {
  if (closed_) return;
  std::unique_lock lock(state_->mutex);
  state_->closing = true;
  state_->changed.notify_all();
  const bool ended =
      state_->changed.wait_for(lock, seconds(timeout_s_), [&] { return state_->ended; });
  const std::string failure = state_->failure;
  lock.unlock();
  closed_ = true;
  if (ended)
    thread_.join();
  else
    thread_.detach();
  if (!failure.empty()) throw Error(Fault::Environment, who_ + ": " + failure);
  if (!ended) {
    throw Error(Fault::Environment,
                who_ + ": MPI_Finalize did not return within " + human_duration(timeout_s_),
                "a rank is dead or still training: see the other logs");
  }
}

}  // namespace homolog::comm
