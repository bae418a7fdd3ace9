// Collectives over TCP, in host memory, for worlds that MPI does not join. Small ones go through
// rank 0 (control_star.h), large ones round a ring (ring.h) or, on one host, through its memory
// (neighbours.h), all on one wire thread.
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "cluster/comm/backends.h"
#include "cluster/comm/bootstrap.h"
#include "cluster/comm/neighbours.h"
#include "cluster/comm/reduction.h"
#include "cluster/comm/ring.h"
#include "cluster/comm/wire_thread.h"

namespace homolog::comm {
namespace {

constexpr std::size_t kSmall = std::size_t{16} << 10;  // bytes; below, one hop beats a ring of them
constexpr double kGrace = 10;                          // s to agree who is to blame
enum Tag : std::uint32_t { kBarrier = 1, kGather, kReduce, kBroadcast, kLeave };

// What the wire thread works on; it outlives a communicator whose thread hangs.
struct Wires {
  ControlStar star;
  Ring ring;
  double timeout_s;

  Wires(int rank, Joined joined, double limit_s, std::shared_ptr<std::atomic<bool>> abandoned)
      : star(rank, joined.world.members, std::move(joined.world.control), std::move(abandoned)),
        ring(make_ring(star, joined, limit_s)),
        timeout_s(limit_s) {}

  static Ring make_ring(ControlStar& star, const Joined& joined, double timeout_s) {
    try {
      return {star, joined.ring_listener, joined.hub_address, joined.world.secret, timeout_s};
    } catch (const Lost& lost) {
      star.settle(lost);
    }
  }
};

std::string bytes_of(const Buffer& buffer) {
  return {static_cast<const char*>(buffer.data), buffer.count * size_of(buffer.type)};
}

void put(const std::string& bytes, const Buffer& buffer) {
  if (bytes.size() != buffer.count * size_of(buffer.type))
    throw Lost{"the ranks disagree about the size of a buffer"};
  std::copy(bytes.begin(), bytes.end(), static_cast<char*>(buffer.data));
}

void reduce_small(Wires& wires, Buffer buffer, Reduce how, const Deadline& deadline) {
  const auto sum = [&](std::vector<std::string>& all) {  // in order of rank
    for (std::size_t r = 1; r < all.size(); ++r) {
      if (all[r].size() != all[0].size())
        throw Lost{wires.star.member(static_cast<int>(r)).text() +
                   " reduces another number of bytes"};
      combine(all[r].data(), all[0].data(), buffer.count, buffer.type, how);
    }
    return all[0];
  };
  put(wires.star.round(kReduce, bytes_of(buffer), sum, deadline), buffer);
}

// Texts with their lengths before them, and apart again.
std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    const std::uint64_t length = text.size();
    all.append(reinterpret_cast<const char*>(&length), sizeof length).append(text);
  }
  return all;
}

std::vector<std::string> apart(const std::string& all) {
  std::vector<std::string> texts;
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= all.size();) {
    std::uint64_t length;
    std::memcpy(&length, all.data() + at, sizeof length);
    texts.push_back(all.substr(at + sizeof length, length));
    at += sizeof length + length;
  }
  return texts;
}

class Tcp final : public Communicator {
 public:
  Tcp(const CommPlan& plan, const topology::Rendezvous& where, const topology::Place& place)
      : abandoned_(std::make_shared<std::atomic<bool>>(false)),
        wires_(connected(plan, where, place)),
        wire_(plan.timeout_s, parts()) {
    wire_.name_rank("rank " + std::to_string(rank_.index) + " on host " + rank_.host);
    if (rank_.size == 1) return;
    neighbours_ =
        Neighbours::meet(rank_.host, [this](std::string_view text) { return all_gather(text); });
    if (neighbours_ && neighbours_->groups() > 1) neighbours_.reset();
  }

  const topology::Rank& rank() const noexcept override { return rank_; }
  const char* backend() const noexcept override { return "tcp"; }

  Ticket start_all_reduce(Buffer buffer, Reduce how, std::string_view purpose, void*) override {
    const std::size_t bytes = buffer.count * size_of(buffer.type);
    if (neighbours_ && bytes >= Neighbours::kSmallest)
      return submit(purpose, neighbourly(buffer, how));
    return submit(purpose, [buffer, how, bytes](Wires& wires, const Deadline& deadline) {
      if (bytes <= kSmall)
        reduce_small(wires, buffer, how, deadline);
      else
        wires.ring.all_reduce(buffer, how, deadline);
    });
  }
  void wait(Ticket ticket, void*) override { wire_.wait(ticket); }

  void broadcast(Buffer buffer, int root) override {
    wire_.wait(submit("broadcast", [buffer, root](Wires& wires, const Deadline& deadline) {
      if (buffer.count * size_of(buffer.type) > kSmall)
        return wires.ring.broadcast(buffer, root, deadline);
      const bool own = wires.star.rank() == root;
      put(wires.star.round(
              kBroadcast, own ? bytes_of(buffer) : "",
              [root](std::vector<std::string>& all) { return all[static_cast<std::size_t>(root)]; },
              deadline),
          buffer);
    }));
  }

  std::vector<std::string> all_gather(std::string_view text) override {
    const auto texts = std::make_shared<std::vector<std::string>>();
    wire_.wait(submit(
        "all-gather", [texts, own = std::string(text)](Wires& wires, const Deadline& deadline) {
          *texts = apart(wires.star.round(
              kGather, own, [](std::vector<std::string>& all) { return joined(all); }, deadline));
        }));
    return *texts;
  }

  void barrier() override {
    wire_.wait(submit("barrier", [](Wires& wires, const Deadline& deadline) {
      wires.star.round(kBarrier, "", nothing, deadline);
    }));
  }

  void close() override { wire_.close(); }
  std::string failure() const override { return wire_.failure(); }
  double seconds_in_collectives() const noexcept override { return wire_.busy_seconds(); }
  [[noreturn]] void abort(int exit_code) noexcept override { ::_exit(exit_code); }

 protected:
  void all_reduce_host(Buffer buffer, Reduce how, std::string_view purpose) override {
    wire_.wait(start_all_reduce(buffer, how, purpose, nullptr));
  }

 private:
  using Work = std::function<void(Wires&, const Deadline&)>;

  Work neighbourly(Buffer buffer, Reduce how) const {
    return [neighbours = neighbours_, buffer, how](Wires& wires, const Deadline& deadline) {
      try {
        neighbours->all_reduce(buffer, how, {}, [&] {
          wires.star.look();
          if (deadline.past()) throw Lost{"a rank of this host did not come in time", true};
        });
      } catch (const Error& e) {
        throw Lost{e.summary()};
      }
    };
  }

  static std::string nothing(std::vector<std::string>&) { return ""; }

  std::shared_ptr<Wires> connected(const CommPlan& plan, const topology::Rendezvous& where,
                                   const topology::Place& place) {
    Joined joined = meet(where, place, plan.timeout_s);
    rank_ = place_among(joined.world.members, place.index);
    return std::make_shared<Wires>(place.index, std::move(joined), plan.timeout_s, abandoned_);
  }

  static WireThread::Job on(std::shared_ptr<Wires> wires, std::string purpose, Work work) {
    return [wires = std::move(wires), purpose = std::move(purpose), work = std::move(work)] {
      try {
        wires->star.enter(purpose);
        work(*wires, Deadline(wires->timeout_s));
      } catch (const Lost& lost) {
        wires->star.settle(lost);
      }
    };
  }
  Ticket submit(std::string_view purpose, Work work) {
    return wire_.submit(std::string(purpose), on(wires_, std::string(purpose), std::move(work)));
  }

  WireThread::Parts parts() {
    return {.begin = [] { ::prctl(PR_SET_TIMERSLACK, 1000UL); },
            .end = on(wires_, "leaving",
                      [](Wires& wires, const Deadline& deadline) {
                        wires.star.round(kLeave, "", nothing, deadline);
                        wires.ring.close();
                        wires.star.close();
                      }),
            .begins = "the wire thread",
            .ends = "the end of the world",
            .idle =
                [wires = wires_] {
                  try {
                    wires->star.look();
                  } catch (const Lost& lost) {
                    wires->star.settle(lost);
                  }
                },
            .abandoned = abandoned_,
            .grace_s = kGrace};
  }

  topology::Rank rank_;
  std::shared_ptr<Neighbours> neighbours_;  // null: large sums go round the ring
  std::shared_ptr<std::atomic<bool>> abandoned_;
  std::shared_ptr<Wires> wires_;
  WireThread wire_;  // last: its thread ends before what its jobs use
};

}  // namespace

std::unique_ptr<Communicator> make_tcp(const CommPlan& plan, const topology::Rendezvous& where,
                                       const topology::Place& place) {
  return std::make_unique<Tcp>(plan, where, place);
}

}  // namespace homolog::comm
