// The one thread that makes every call on a wire, working a queue of collectives in the order they
// were started, so that they overlap the caller's computing and no rank can swap two of them.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "cluster/comm/communicator.h"

namespace homolog::comm {

class WireThread {
 public:
  using Job = std::function<void()>;
  // Run on the thread; what they throw is the wire's failure. What they use must live as long as
  // they do: a thread that hangs outlives this object.
  struct Parts {
    Job begin, end;            // first of all; last, after close() alone
    std::string begins, ends;  // for messages: "MPI_Init_thread", "MPI_Finalize"
    Job idle = {};             // some times a second while nothing is queued; may be empty
    // Set once nobody waits for a job any more; jobs look at it while they wait.
    std::shared_ptr<std::atomic<bool>> abandoned;
    double grace_s = 0;         // what a job adds to its own deadline to find out the cause
    bool keeps_memory = false;  // memory of a job given up may still be written to
  };
  // Throws Fault::Environment when `begin` failed or took longer than `timeout_s`.
  WireThread(double timeout_s, Parts parts);
  ~WireThread();  // see Communicator::~Communicator
  WireThread(const WireThread&) = delete;
  WireThread& operator=(const WireThread&) = delete;

  Ticket submit(std::string purpose, Job job);
  // Throws Fault::Environment: the collective failed, or hangs for longer than `timeout_s`.
  void wait(Ticket ticket);
  void close();                 // once all is done
  std::string failure() const;  // "": none known

  void name_rank(std::string text) { who_ = std::move(text); }  // for messages: "rank 1 on host n2"
  double busy_seconds() const noexcept;

  struct Abandoned {};  // what jobs throw once Parts::abandoned is set

 private:
  struct State;
  static void work(std::shared_ptr<State> state);
  static bool next_job(State& state, Job& job);

  std::shared_ptr<State> state_;
  std::thread thread_;
  std::string who_ = "this rank";
  double timeout_s_;
  int exceptions_at_start_;
  bool closed_ = false;
};

}  // namespace homolog::comm
