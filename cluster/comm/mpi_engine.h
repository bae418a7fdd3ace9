// MPI on a wire thread of its own, which makes every MPI call.
#pragma once

#include <mpi.h>

#include <memory>
#include <string>

#include "cluster/comm/wire_thread.h"

namespace homolog::comm {

void check_mpi(int code, const char* call);  // throws Fault::Environment with MPI's own text

class MpiEngine {
 public:
  // Runs MPI_Init_thread on the new thread. Throws Fault::Environment past `timeout_s`.
  explicit MpiEngine(double timeout_s);

  // What a job may do on the engine's thread: start non-blocking MPI calls and finish() them.
  class Worker;
  using Job = std::function<void(Worker&)>;

  Ticket submit(std::string purpose, Job job);
  void run(std::string purpose, Job job) { wire_.wait(submit(std::move(purpose), std::move(job))); }
  WireThread& wire() { return wire_; }
  const WireThread& wire() const { return wire_; }

 private:
  struct World;
  explicit MpiEngine(double timeout_s, std::shared_ptr<World> world);

  std::shared_ptr<World> world_;  // shared: a thread that hangs inside MPI outlives the engine
  WireThread wire_;
};

class MpiEngine::Worker {
 public:
  explicit Worker(World& world) : world_(world) {}
  MPI_Comm world() const;
  void look() const;                  // throws WireThread::Abandoned when the engine gives up
  void finish(MPI_Request& request);  // polls gently until done, or until the engine gives up
  void share_cores(int ranks_here);   // how many ranks poll on this host: how gently finish() does

 private:
  World& world_;
};

}  // namespace homolog::comm
