#include "cluster/comm/mpi_engine.h"

#include <sched.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace homolog::comm {
namespace {

// A spinning MPI_Wait would take a core from the computing threads, so: yield first, then sleep.
constexpr auto kSpinFor = std::chrono::microseconds(200);
constexpr std::chrono::microseconds kNap{20};

// Ranks that share a core look together as often as one that has it alone; else 64 ranks that wait
// on two cores take all of both from the one they wait for.
std::chrono::microseconds nap_of(int ranks_here) {
  const int cores = std::max(1U, std::thread::hardware_concurrency());
  return kNap * std::max(1, (ranks_here + cores - 1) / cores);
}

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

struct MpiEngine::World {
  MPI_Comm comm = MPI_COMM_NULL;
  std::chrono::microseconds nap = kNap;
  std::shared_ptr<std::atomic<bool>> abandoned = std::make_shared<std::atomic<bool>>(false);

  void join() {
    ::prctl(PR_SET_TIMERSLACK, 1000UL);  // else a nap of 20 us lasts 70
    int provided = 0;
    // This thread makes all calls, so FUNNELED would do; SERIALIZED asks the library to expect that
    // the thread that started the process is another one.
    int code = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
    if (code == MPI_SUCCESS) code = MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    if (code != MPI_SUCCESS) {
      throw Error(Fault::Environment, "MPI_Init_thread failed with code " + std::to_string(code));
    }
    MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
  }
  void leave() {
    MPI_Comm_free(&comm);
    MPI_Finalize();  // has to be the thread that called MPI_Init_thread
  }
};

MPI_Comm MpiEngine::Worker::world() const { return world_.comm; }
void MpiEngine::Worker::share_cores(int ranks_here) { world_.nap = nap_of(ranks_here); }

void MpiEngine::Worker::look() const {
  if (world_.abandoned->load(std::memory_order_relaxed)) throw WireThread::Abandoned{};
}

void MpiEngine::Worker::finish(MPI_Request& request) {
  const auto start = std::chrono::steady_clock::now();
  for (int done = 0;;) {
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done) return;
    look();
    if (std::chrono::steady_clock::now() - start < kSpinFor)
      ::sched_yield();
    else
      std::this_thread::sleep_for(world_.nap);
  }
}

MpiEngine::MpiEngine(double timeout_s) : MpiEngine(timeout_s, std::make_shared<World>()) {}

// A peer may still write into the memory of a job that was given up.
MpiEngine::MpiEngine(double timeout_s, std::shared_ptr<World> world)
    : world_(world),
      wire_(timeout_s, {.begin = [world] { world->join(); },
                        .end = [world] { world->leave(); },
                        .begins = "MPI_Init_thread",
                        .ends = "MPI_Finalize",
                        .abandoned = world->abandoned,
                        .keeps_memory = true}) {}

Ticket MpiEngine::submit(std::string purpose, Job job) {
  return wire_.submit(std::move(purpose), [world = world_, job = std::move(job)] {
    Worker worker(*world);
    job(worker);
  });
}

}  // namespace homolog::comm
