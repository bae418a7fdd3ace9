// The one thread that makes every MPI call, working a queue of collectives in the order they were
// started, so that they overlap the caller's computing and no rank can swap two of them.
#pragma once

#include <mpi.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "cluster/comm/communicator.h"

namespace homolog::comm {

void check_mpi(int code, const char* call);  // throws Fault::Environment with MPI's own text

class MpiEngine {
 public:
  // Runs MPI_Init_thread on the new thread. Throws Fault::Environment past `timeout_s`.
  explicit MpiEngine(double timeout_s);
  ~MpiEngine();  // see Communicator::~Communicator
  MpiEngine(const MpiEngine&) = delete;
  MpiEngine& operator=(const MpiEngine&) = delete;

  // What a job may do on the engine's thread: start non-blocking MPI calls and finish() them.
  class Worker;
  using Job = std::function<void(Worker&)>;

  Ticket submit(std::string purpose, Job job);
  // Throws Fault::Environment: the collective failed, or hangs for longer than `timeout_s`.
  void wait(Ticket ticket);
  void run(std::string purpose, Job job) { wait(submit(std::move(purpose), std::move(job))); }

  void name_rank(std::string text) { who_ = std::move(text); }  // for messages: "rank 1 on host n2"
  double busy_seconds() const noexcept;
  void close();  // MPI_Finalize, once all is done

 private:
  struct State;
  static void work(std::shared_ptr<State> state);
  static bool initialise(State& state);

  std::shared_ptr<State> state_;  // shared: a thread that hangs inside MPI outlives the engine
  std::thread thread_;
  std::string who_ = "this rank";
  double timeout_s_;
  int exceptions_at_start_;
  bool closed_ = false;
};

class MpiEngine::Worker {
 public:
  explicit Worker(State& state) : state_(state) {}
  MPI_Comm world() const;
  void finish(MPI_Request& request);  // polls gently until done, or until the engine gives up

 private:
  State& state_;
};

}  // namespace homolog::comm
