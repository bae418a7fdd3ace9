// Collectives between the workers, over raw buffers: knows no tensor. Back-ends: solo, MPI and TCP
// (CPU), NCCL (GPU); a missing one is a linked stub.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/topology/rank.h"

namespace homolog::comm {

enum class Scalar : std::uint8_t { F32, F64, BF16, I64, U8 };
enum class Reduce : std::uint8_t { Sum, Max, Min };

struct Buffer {  // count is elements, never bytes; device memory for NCCL, host for the others
  void* data;
  std::size_t count;
  Scalar type;
};

using Ticket = std::uint64_t;  // of one started collective; tickets complete in order

class Communicator {
 public:
  // After a clean run it leaves the world as close() does. While an exception unwinds, or with work
  // outstanding, it never communicates: this rank just goes, and the launcher ends the others.
  virtual ~Communicator() = default;
  virtual const topology::Rank& rank() const noexcept = 0;
  virtual const char* backend() const noexcept = 0;  // "solo", "mpi", "tcp", "nccl"
  // CUDA device on which the buffers of start_all_reduce() must lie; -1: host memory.
  virtual int device() const noexcept { return -1; }

  // Start an in-place all-reduce and return at once. Every rank must start the same ones in the
  // same order. `purpose` names it in a stall report. The buffer must stay alive and untouched
  // until wait(). NCCL: ordered after the work now queued on `compute_stream` (a cudaStream_t), on
  // its own stream.
  virtual Ticket start_all_reduce(Buffer buffer, Reduce how, std::string_view purpose,
                                  void* compute_stream = nullptr) = 0;
  // Host back-ends: blocks. NCCL: makes `compute_stream` wait, the host goes on.
  // Throws Fault::Environment past the deadline, naming the collective that hangs.
  virtual void wait(Ticket ticket, void* compute_stream = nullptr) = 0;

  // Blocking, small, host memory on every back-end. They refuse after failure(): what the host
  // fetched from a broken reduction must not be agreed on.
  virtual void broadcast(Buffer host_buffer, int root) = 0;
  virtual std::vector<std::string> all_gather(std::string_view text) = 0;  // one per rank, in order
  virtual void barrier() = 0;
  void all_reduce(Buffer host_buffer, Reduce how, std::string_view purpose);  // host memory

  // The orderly end: every rank calls it at the same point, nothing may follow. Also for exit 75.
  virtual void close() {}

  // Why started collectives did not and will not complete, found behind the caller's back (a wait()
  // that only queues cannot throw it). "": nothing known.
  virtual std::string failure() const { return ""; }
  virtual double seconds_in_collectives()
      const noexcept = 0;  // busy time of the wire, for the all-reduce share
  // Ends every rank without waiting for anybody; the launcher sees `exit_code`.
  [[noreturn]] virtual void abort(int exit_code) noexcept = 0;

 protected:
  void refuse_after_failure() const;  // throws Fault::Environment
  virtual void all_reduce_host(Buffer host_buffer, Reduce how, std::string_view purpose) = 0;
};

struct CommPlan {
  std::string backend = "auto";  // auto: solo alone, else nccl with a GPU per rank, else mpi or tcp
  double timeout_s = 600;        // a collective that takes longer is a hang
  std::string bootstrap =
      "auto";  // auto: mpi where mpirun or PMIx started us, else tcp; mpi, tcp, file
  std::string rendezvous = "";  // tcp: HOST:PORT of rank 0; file: a path that all hosts share
};

// Joins the world that the launcher made, through MPI or by itself. Alone: solo.
// Throws Fault::Environment, Fault::Usage. Call once per process, before other threads use MPI.
std::unique_ptr<Communicator> connect(const CommPlan& plan);

}  // namespace homolog::comm
