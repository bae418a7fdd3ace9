// Collectives between GPUs over NCCL, on a stream of their own behind events, so that the host
// never waits. MPI carries the NCCL id and the small host operations; a watchdog turns a hang into
// an error.
#include <cuda_runtime_api.h>
#include <nccl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "cluster/comm/backends.h"

namespace homolog::comm {
namespace {

void check(cudaError_t code, const char* call) {
  if (code == cudaSuccess) return;
  throw Error(Fault::Environment, std::string(call) + ": " + cudaGetErrorString(code),
              "see nvidia-smi and the kernel log");
}

void check(ncclResult_t code, const char* call) {
  if (code == ncclSuccess || code == ncclInProgress) return;
  throw Error(Fault::Environment, std::string(call) + ": " + ncclGetErrorString(code),
              "set NCCL_DEBUG=INFO to see which link fails");
}

ncclDataType_t nccl_type(Scalar type) {
  switch (type) {
    case Scalar::F32:
      return ncclFloat32;
    case Scalar::F64:
      return ncclFloat64;
    case Scalar::BF16:
      return ncclBfloat16;
    case Scalar::I64:
      return ncclInt64;
    case Scalar::U8:
      return ncclUint8;
  }
  return ncclFloat32;
}

ncclRedOp_t nccl_operation(Reduce how) {
  switch (how) {
    case Reduce::Sum:
      return ncclSum;
    case Reduce::Max:
      return ncclMax;
    case Reduce::Min:
      return ncclMin;
  }
  return ncclSum;
}

// -1 without a GPU for this rank. See gpu_identity().
int choose_device(const topology::Rank& rank) {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) return -1;
  if (count >= rank.local_size) return rank.local_index;
  return count == 1 ? 0 : -1;
}

class Nccl final : public Communicator {
 public:
  Nccl(const CommPlan& plan, std::unique_ptr<Communicator> host)
      : host_(std::move(host)), timeout_s_(plan.timeout_s), device_(choose_device(host_->rank())) {
    check(cudaSetDevice(device_), "cudaSetDevice");
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
    join();
    watchdog_ = std::thread([this] { watch(); });
  }

  ~Nccl() override {
    try {
      if (std::uncaught_exceptions() == 0 && failure().empty()) close();
    } catch (const std::exception&) {  // then leave as after a failure
    }
    stop_watching();
    if (comm_ != nullptr) ncclCommAbort(comm_);
  }

  const topology::Rank& rank() const noexcept override { return host_->rank(); }
  const char* backend() const noexcept override { return "nccl"; }
  int device() const noexcept override { return device_; }

  Ticket start_all_reduce(Buffer buffer, Reduce how, std::string_view purpose,
                          void* compute_stream) override {
    refuse_after_failure();
    Flight flight{.purpose = std::string(purpose)};
    cudaEvent_t ready;
    check(cudaEventCreateWithFlags(&ready, cudaEventDisableTiming), "cudaEventCreate");
    check(cudaEventCreate(&flight.begin), "cudaEventCreate");
    check(cudaEventCreate(&flight.end), "cudaEventCreate");
    check(cudaEventRecord(ready, static_cast<cudaStream_t>(compute_stream)), "cudaEventRecord");
    check(cudaStreamWaitEvent(stream_, ready, 0), "cudaStreamWaitEvent");
    check(cudaEventDestroy(ready), "cudaEventDestroy");  // CUDA frees it once it has passed
    check(cudaEventRecord(flight.begin, stream_), "cudaEventRecord");
    check(ncclAllReduce(buffer.data, buffer.data, buffer.count, nccl_type(buffer.type),
                        nccl_operation(how), comm_, stream_),
          "ncclAllReduce");
    settle("ncclAllReduce");
    check(cudaEventRecord(flight.end, stream_), "cudaEventRecord");
    std::lock_guard lock(mutex_);
    flight.ticket = ++tickets_;
    flights_.push_back(std::move(flight));
    return tickets_;
  }

  void wait(Ticket ticket, void* compute_stream) override {
    refuse_after_failure();
    std::lock_guard lock(mutex_);
    for (const Flight& flight : flights_) {
      if (flight.ticket != ticket) continue;
      check(cudaStreamWaitEvent(static_cast<cudaStream_t>(compute_stream), flight.end, 0),
            "cudaStreamWaitEvent");
    }  // not found: it has completed long ago
  }

  void broadcast(Buffer buffer, int root) override {
    refuse_after_failure();
    host_->broadcast(buffer, root);
  }
  std::vector<std::string> all_gather(std::string_view text) override {
    refuse_after_failure();
    return host_->all_gather(text);
  }
  void barrier() override {
    refuse_after_failure();
    host_->barrier();
  }
  std::string failure() const override {
    std::lock_guard lock(mutex_);
    return failure_;
  }
  double seconds_in_collectives() const noexcept override { return busy_s_; }

  void close() override {
    if (comm_ == nullptr) return;
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
    refuse_after_failure();
    host_->barrier();  // a peer may still be reading from this GPU
    stop_watching();
    check(ncclCommFinalize(comm_), "ncclCommFinalize");
    settle("ncclCommFinalize");
    check(ncclCommDestroy(comm_), "ncclCommDestroy");
    comm_ = nullptr;
    host_->close();
  }

  [[noreturn]] void abort(int exit_code) noexcept override { ::_exit(exit_code); }

 protected:
  void all_reduce_host(Buffer buffer, Reduce how, std::string_view purpose) override {
    host_->all_reduce(buffer, how, purpose);
  }

 private:
  struct Flight {
    Ticket ticket = 0;
    std::string purpose;
    cudaEvent_t begin = nullptr, end = nullptr;
    Stopwatch age = {};
  };

  void join() {
    ncclUniqueId id{};
    if (rank().index == 0) check(ncclGetUniqueId(&id), "ncclGetUniqueId");
    host_->broadcast({&id, sizeof(id), Scalar::U8}, 0);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;  // else a rank that never comes cannot be noticed
    ncclComm_t made = nullptr;
    const ncclResult_t code = ncclCommInitRankConfig(&made, rank().size, id, rank().index, &config);
    comm_ = made;
    check(code, "ncclCommInitRankConfig");
    settle("ncclCommInitRankConfig");
  }

  // Wait until a non-blocking NCCL call has been taken, within the deadline.
  void settle(const char* call) {
    const Stopwatch watch;
    for (ncclResult_t state = ncclInProgress;;) {
      check(ncclCommGetAsyncError(comm_, &state), "ncclCommGetAsyncError");
      if (state == ncclSuccess) return;
      check(state, call);
      if (watch.seconds() > timeout_s_) {
        throw Error(
            Fault::Environment,
            who() + ": " + call + " did not finish within " + human_duration(timeout_s_),
            "a rank never arrived: see the other logs; NCCL_DEBUG=INFO shows the network chosen");
      }
      std::this_thread::yield();
    }
  }

  // Own thread: retire what has completed, notice what hangs or failed. ncclCommAbort ends the
  // kernels, so a host blocked on the stream comes back, with buffers that were never reduced. The
  // failure is set before, so the next operation of that host refuses and no rank can go on alone.
  void watch() {
    cudaSetDevice(device_);
    while (!stop_) {
      std::string text;
      ncclResult_t state = ncclSuccess;
      {
        std::lock_guard lock(mutex_);
        retire();
        if (!flights_.empty() && flights_.front().age.seconds() > timeout_s_) {
          text = "'" + flights_.front().purpose + "' (collective " +
                 std::to_string(flights_.front().ticket) + ") did not finish within " +
                 human_duration(timeout_s_);
        }
      }
      ncclCommGetAsyncError(comm_, &state);
      if (state != ncclSuccess && state != ncclInProgress)
        text = std::string("NCCL: ") + ncclGetErrorString(state);
      if (!text.empty()) {
        set_failure(who() + ": " + text);
        ncclCommAbort(comm_.exchange(nullptr));
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  void retire() {
    while (!flights_.empty() && cudaEventQuery(flights_.front().end) == cudaSuccess) {
      float milliseconds = 0;
      cudaEventElapsedTime(&milliseconds, flights_.front().begin, flights_.front().end);
      busy_s_ = busy_s_ + milliseconds * 1e-3;
      cudaEventDestroy(flights_.front().begin);
      cudaEventDestroy(flights_.front().end);
      flights_.pop_front();
    }
  }

  void stop_watching() {
    stop_ = true;
    if (watchdog_.joinable()) watchdog_.join();
  }

  std::string who() const {
    return "rank " + std::to_string(rank().index) + " on host " + rank().host;
  }
  void set_failure(std::string text) {
    std::lock_guard lock(mutex_);
    failure_ = std::move(text);
  }

  std::unique_ptr<Communicator> host_;
  double timeout_s_;
  int device_;
  cudaStream_t stream_ = nullptr;
  std::atomic<ncclComm_t> comm_{nullptr};
  mutable std::mutex mutex_;
  std::deque<Flight> flights_;
  Ticket tickets_ = 0;
  std::string failure_;
  std::atomic<double> busy_s_{0};
  std::atomic<bool> stop_{false};
  std::thread watchdog_;
};

}  // namespace

std::string gpu_identity(const topology::Rank& rank) {
  const int device = choose_device(rank);
  char bus[32] = {};
  if (device < 0 || cudaDeviceGetPCIBusId(bus, sizeof(bus), device) != cudaSuccess) return "";
  return bus;
}

std::unique_ptr<Communicator> make_nccl(const CommPlan& plan, std::unique_ptr<Communicator> host) {
  return std::make_unique<Nccl>(plan, std::move(host));
}

}  // namespace homolog::comm
