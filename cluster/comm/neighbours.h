// Sums between the ranks of one host without sending: each rank reads its share of a buffer out of
// its neighbours' memory, adds it up, and reads the other shares where they are ready. A byte is
// copied once by the kernel; through MPI or a socket it is copied several times.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/comm/communicator.h"

namespace homolog::comm {

class Neighbours {
 public:
  // Texts of all ranks, in order of rank; collective (Communicator::all_gather).
  using Gather = std::function<std::vector<std::string>(std::string_view)>;

  // Collective over the world: `host` names this rank's group of neighbours. Null on every rank
  // when it cannot serve all: groups of one or of different sizes, or a system that does not let
  // them read each other (process namespaces, ptrace_scope, seccomp). Rank 0 logs why.
  static std::shared_ptr<Neighbours> meet(const std::string& host, const Gather& gather);
  ~Neighbours();
  Neighbours(const Neighbours&) = delete;

  // Below, one message is quicker than three meetings.
  static constexpr std::size_t kSmallest = std::size_t{64} << 10;  // bytes

  int index() const { return index_; }  // in the group
  int size() const { return static_cast<int>(pages_.size()); }
  int groups() const { return groups_; }

  // Called some times a second while this rank waits or reads; throws to give up.
  using Waiting = std::function<void()>;
  // Reduces over the groups what the neighbours' share of a buffer has become; may be empty.
  using Across = std::function<void(Buffer share)>;
  // All-reduces in place. Every rank of the group calls it in the same order, with as many values.
  // The sum of a share begins with its owner's values and goes on in order of rank, so all get the
  // same bits every time. Throws Fault::Environment when a neighbour is gone or comes with another
  // buffer, naming it, and what `waiting` throws.
  void all_reduce(const Buffer& buffer, Reduce how, const Across& across, const Waiting& waiting);

 private:
  struct Page;
  struct Share;
  Neighbours() = default;
  Page& own() const { return *pages_[static_cast<std::size_t>(index_)]; }
  Share share_of(int index, const Buffer& buffer) const;
  void begin_round(const Buffer& buffer, Reduce how, const Waiting& waiting);
  void sum_own_share(const Buffer& buffer, Reduce how, const Waiting& waiting);
  void collect_shares(const Buffer& buffer, const Waiting& waiting);
  void read(int from, std::size_t offset, void* to, std::size_t bytes) const;
  void meet_at(std::uint32_t Page::*mark, const Waiting& waiting);
  bool look(const Waiting& waiting);  // true: it was time to
  std::string name(int index) const;  // "rank 3 (process 4711)"

  std::vector<Page*> pages_;  // of the group, in order of rank
  std::vector<int> ranks_;    // their ranks in the world
  int index_ = 0, groups_ = 1;
  std::uint32_t round_ = 0;
  std::vector<std::byte> block_;
  std::chrono::steady_clock::time_point looked_{};
};

}  // namespace homolog::comm
