// Sums between the ranks of one host, in memory that all of them see: each rank adds up its share
// of a buffer and writes the sum to every rank, so nothing is sent and nothing is copied.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/comm/communicator.h"

namespace homolog::comm {

class Neighbours {
 public:
  // Texts of all ranks, in order of rank; collective (Communicator::all_gather).
  using Gather = std::function<std::vector<std::string>(std::string_view)>;

  // Gives every rank `bytes` of zeroed memory, rounded up to huge pages, that its neighbours see,
  // too. Collective over the world: `host` names this rank's group of neighbours. Null on every
  // rank when it cannot serve all: a group of one or of another size than the first, or memory that
  // a neighbour may not open (other user or process namespace, no memory left).
  static std::shared_ptr<Neighbours> meet(std::size_t bytes, const std::string& host,
                                          const Gather& gather);
  ~Neighbours();
  Neighbours(const Neighbours&) = delete;

  std::byte* memory() const { return own_; }
  bool holds(const Buffer& buffer) const;
  int index() const { return index_; }  // in the group
  int size() const { return static_cast<int>(regions_.size()); }
  int groups() const { return groups_; }

  // While a neighbour is waited for, called many times a second; throws to give up.
  using Waiting = std::function<void()>;
  // Reduces over the groups what the neighbours' share of a buffer has become; may be empty.
  using Across = std::function<void(Buffer share)>;
  // All-reduces a buffer that holds() has; every rank of the group, in the same order of calls. The
  // order of summation is that of the ranks, so all get the same bits every time. Throws
  // Fault::Environment where another buffer's turn is with a neighbour, and what `waiting` throws.
  void all_reduce(const Buffer& buffer, Reduce how, const Across& across, const Waiting& waiting);

 private:
  struct Region;
  struct Flags;
  Neighbours() = default;
  void begin_round(std::uint64_t offset, std::uint64_t bytes, const Waiting& waiting);
  void wait_for_all(std::uint32_t Flags::* flag, const Waiting& waiting) const;
  void tell(std::uint32_t Flags::* flag);

  std::vector<std::unique_ptr<Region>> regions_;  // of the group, in order of rank
  std::byte* own_ = nullptr;
  std::size_t bytes_ = 0;
  int index_ = 0, groups_ = 1;
  std::uint32_t round_ = 0;
};

}  // namespace homolog::comm
