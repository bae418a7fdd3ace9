// Collectives over MPI, in host memory. Non-blocking calls on one thread (mpi_engine.h), in place,
// large sums in the memory of a host (neighbours.h) or round a ring (mpi_ring.h), with a fixed
// order of summation for a given world: repeated runs give equal bits.
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <functional>

#include "base/error.h"
#include "base/own_host.h"
#include "cluster/comm/backends.h"
#include "cluster/comm/mpi_engine.h"
#include "cluster/comm/mpi_ring.h"
#include "cluster/comm/neighbours.h"
#include "cluster/comm/reduction.h"

namespace homolog::comm {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 28;  // elements a call; MPI counts in int

MPI_Datatype mpi_type(Scalar type) {
  switch (type) {
    case Scalar::F32:
      return MPI_FLOAT;
    case Scalar::F64:
      return MPI_DOUBLE;
    case Scalar::BF16:
      return MPI_UINT16_T;
    case Scalar::I64:
      return MPI_INT64_T;
    case Scalar::U8:
      return MPI_UINT8_T;
  }
  return MPI_DATATYPE_NULL;
}

// MPI knows no bfloat16: this sees the bits as uint16.
template <Reduce how>
void combine_bf16(void* in, void* in_out, int* count, MPI_Datatype*) {
  combine(in, in_out, static_cast<std::size_t>(*count), Scalar::BF16, how);
}

class Mpi final : public Communicator {
 public:
  explicit Mpi(const CommPlan& plan) : engine_(plan.timeout_s) {
    rank_.host = own_host();
    engine_.run("joining the world", [this](MpiEngine::Worker& worker) {
      learn_place(worker.world());
      worker.share_cores(rank_.local_size);
    });
    engine_.wire().name_rank("rank " + std::to_string(rank_.index) + " on host " + rank_.host);
    if (rank_.size > 1) meet_neighbours();
  }

  const topology::Rank& rank() const noexcept override { return rank_; }
  const char* backend() const noexcept override { return "mpi"; }

  Ticket start_all_reduce(Buffer buffer, Reduce how, std::string_view purpose, void*) override {
    const bool large = buffer.count * size_of(buffer.type) >= Neighbours::kSmallest;
    return engine_.submit(std::string(purpose),
                          neighbours_ && large ? neighbourly(buffer, how) : reduction(buffer, how));
  }

  void wait(Ticket ticket, void*) override { engine_.wire().wait(ticket); }

  void broadcast(Buffer buffer, int root) override {
    run_on_copy("broadcast", buffer, [root](Buffer copy) -> MpiEngine::Job {
      return [copy, root](MpiEngine::Worker& worker) {
        for_each_chunk(copy, [&](void* data, int count) {
          MPI_Request request;
          check_mpi(MPI_Ibcast(data, count, mpi_type(copy.type), root, worker.world(), &request),
                    "MPI_Ibcast");
          worker.finish(request);
        });
      };
    });
  }

  std::vector<std::string> all_gather(std::string_view text) override {
    if (text.size() > INT_MAX / static_cast<std::size_t>(rank_.size)) {
      throw Error(Fault::Environment, "all_gather of " + std::to_string(text.size()) +
                                          " bytes a rank is too much for MPI");
    }
    const auto texts = std::make_shared<Gathered>(std::string(text), rank_.size);
    engine_.run("all-gather", [texts](MpiEngine::Worker& worker) { gather(worker, *texts); });
    return texts->apart();
  }

  void barrier() override {
    engine_.run("barrier", [](MpiEngine::Worker& worker) {
      MPI_Request request;
      check_mpi(MPI_Ibarrier(worker.world(), &request), "MPI_Ibarrier");
      worker.finish(request);
    });
  }

  void close() override { engine_.wire().close(); }
  double seconds_in_collectives() const noexcept override { return engine_.wire().busy_seconds(); }
  // Not MPI_Abort: that call belongs to the engine's thread, which may be the one that hangs. A
  // process that goes without MPI_Finalize makes the launcher end the others just as well.
  [[noreturn]] void abort(int exit_code) noexcept override { ::_exit(exit_code); }

 protected:
  void all_reduce_host(Buffer buffer, Reduce how, std::string_view purpose) override {
    run_on_copy(std::string(purpose), buffer,
                [this, how](Buffer copy) { return reduction(copy, how); });
  }

 private:
  // What MPI reads and writes for an all_gather. Owned by the job, see run_on_copy().
  struct Gathered {
    std::string own, joined;
    int length;  // of own
    std::vector<int> lengths, starts;

    Gathered(std::string text, int ranks)
        : own(std::move(text)),
          length(static_cast<int>(own.size())),
          lengths(static_cast<std::size_t>(ranks)),
          starts(static_cast<std::size_t>(ranks)) {}
    std::vector<std::string> apart() const {
      std::vector<std::string> all;
      for (std::size_t i = 0; i < lengths.size(); ++i) {
        all.push_back(joined.substr(static_cast<std::size_t>(starts[i]),
                                    static_cast<std::size_t>(lengths[i])));
      }
      return all;
    }
  };

  // The job owns the memory: past the deadline the caller unwinds while MPI may still write.
  void run_on_copy(std::string purpose, Buffer buffer,
                   const std::function<MpiEngine::Job(Buffer)>& job_for) {
    auto* bytes = static_cast<std::byte*>(buffer.data);
    const auto copy = std::make_shared<std::vector<std::byte>>(
        bytes, bytes + buffer.count * size_of(buffer.type));
    engine_.run(std::move(purpose),
                [copy, job = job_for({copy->data(), buffer.count, buffer.type})](
                    MpiEngine::Worker& worker) { job(worker); });
    std::copy(copy->begin(), copy->end(), bytes);
  }

  MpiEngine::Job reduction(Buffer buffer, Reduce how) const {
    const auto ring = std::make_shared<MpiRing>();
    return [ring, buffer, how, op = operation(buffer.type, how)](MpiEngine::Worker& worker) {
      reduce(worker, worker.world(), *ring, buffer, how, op);
    };
  }

  void meet_neighbours() {
    neighbours_ =
        Neighbours::meet(rank_.host, [this](std::string_view text) { return all_gather(text); });
    if (!neighbours_ || neighbours_->groups() == 1) return;
    engine_.run("joining the hosts", [this](MpiEngine::Worker& worker) {
      check_mpi(MPI_Comm_split(worker.world(), neighbours_->index(), rank_.index, &across_),
                "MPI_Comm_split");
    });
  }

  // Within the host, and in between each share among those who have it on their hosts.
  MpiEngine::Job neighbourly(Buffer buffer, Reduce how) const {
    const auto ring = std::make_shared<MpiRing>();
    return [neighbours = neighbours_, ring, buffer, how, ranks = across_,
            op = operation(buffer.type, how)](MpiEngine::Worker& worker) {
      Neighbours::Across across;
      if (ranks != MPI_COMM_NULL)
        across = [&](Buffer share) { reduce(worker, ranks, *ring, share, how, op); };
      neighbours->all_reduce(buffer, how, across, [&] { worker.look(); });
    };
  }

  static void reduce(MpiEngine::Worker& worker, MPI_Comm ranks, MpiRing& ring, Buffer buffer,
                     Reduce how, MPI_Op op) {
    if (ring.serves(ranks, buffer)) return ring.all_reduce(worker, buffer, how);
    for_each_chunk(buffer, [&](void* data, int count) {
      MPI_Request request;
      check_mpi(
          MPI_Iallreduce(MPI_IN_PLACE, data, count, mpi_type(buffer.type), op, ranks, &request),
          "MPI_Iallreduce");
      worker.finish(request);
    });
  }

  template <class Call>
  static void for_each_chunk(const Buffer& buffer, const Call& call) {
    auto* bytes = static_cast<std::byte*>(buffer.data);
    for (std::size_t done = 0; done < buffer.count; done += kChunk) {
      call(bytes + done * size_of(buffer.type),
           static_cast<int>(std::min(kChunk, buffer.count - done)));
    }
  }

  void learn_place(MPI_Comm world) {
    check_mpi(MPI_Comm_rank(world, &rank_.index), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(world, &rank_.size), "MPI_Comm_size");
    MPI_Comm local;
    check_mpi(MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, rank_.index, MPI_INFO_NULL, &local),
              "MPI_Comm_split_type");
    MPI_Comm_rank(local, &rank_.local_index);
    MPI_Comm_size(local, &rank_.local_size);
    MPI_Comm_free(&local);
    check_mpi(MPI_Op_create(combine_bf16<Reduce::Sum>, 1, &bf16_ops_[0]), "MPI_Op_create");
    check_mpi(MPI_Op_create(combine_bf16<Reduce::Max>, 1, &bf16_ops_[1]), "MPI_Op_create");
    check_mpi(MPI_Op_create(combine_bf16<Reduce::Min>, 1, &bf16_ops_[2]), "MPI_Op_create");
  }

  MPI_Op operation(Scalar type, Reduce how) const {
    if (type == Scalar::BF16) return bf16_ops_[static_cast<int>(how)];
    switch (how) {
      case Reduce::Sum:
        return MPI_SUM;
      case Reduce::Max:
        return MPI_MAX;
      case Reduce::Min:
        return MPI_MIN;
    }
    return MPI_OP_NULL;
  }

  static void gather(MpiEngine::Worker& worker, Gathered& texts) {
    MPI_Request request;
    check_mpi(MPI_Iallgather(&texts.length, 1, MPI_INT, texts.lengths.data(), 1, MPI_INT,
                             worker.world(), &request),
              "MPI_Iallgather");
    worker.finish(request);
    std::size_t total = 0;
    for (std::size_t i = 0; i < texts.lengths.size(); ++i) {
      texts.starts[i] = static_cast<int>(total);
      total += static_cast<std::size_t>(texts.lengths[i]);
    }
    texts.joined.resize(std::max<std::size_t>(total, 1));
    check_mpi(MPI_Iallgatherv(texts.own.data(), texts.length, MPI_CHAR, texts.joined.data(),
                              texts.lengths.data(), texts.starts.data(), MPI_CHAR, worker.world(),
                              &request),
              "MPI_Iallgatherv");
    worker.finish(request);
  }

  topology::Rank rank_;
  MPI_Op bf16_ops_[3] = {MPI_OP_NULL, MPI_OP_NULL, MPI_OP_NULL};
  MPI_Comm across_ = MPI_COMM_NULL;         // those of the same place on each host
  std::shared_ptr<Neighbours> neighbours_;  // null: all goes through MPI
  MpiEngine engine_;                        // last: its thread ends before what its jobs use
};

}  // namespace

std::unique_ptr<Communicator> make_mpi(const CommPlan& plan) { return std::make_unique<Mpi>(plan); }

}  // namespace homolog::comm
