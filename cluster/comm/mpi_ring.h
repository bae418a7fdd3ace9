// Sums of large buffers round a ring of MPI's point-to-point messages: each rank sends and receives
// 2 (n-1)/n of the buffer. Open MPI's own non-blocking sum in place is a tree that carries the
// whole buffer 2 log2(n) times.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "cluster/comm/communicator.h"
#include "cluster/comm/mpi_engine.h"

namespace homolog::comm {

// Owned by the job that uses it: MPI may still write into it once that was given up.
class MpiRing {
 public:
  // Whether each rank's part is large enough to be worth a message of its own; then these ranks are
  // the ring.
  bool serves(MPI_Comm ranks, const Buffer& buffer);

  // REQUIRES: it serves. In place, in an order of sums that the ranks and the size fix. Throws as
  // MpiEngine::Worker::finish().
  void all_reduce(MpiEngine::Worker& worker, const Buffer& buffer, Reduce how);

 private:
  struct Part {
    std::byte* data;
    std::size_t bytes;
    std::size_t pieces() const;
    Part piece(std::size_t index) const;
  };
  Part part(const Buffer& buffer, int index) const;  // of `ranks_` parts; modulo
  // One part goes to the next rank while another comes from the previous one, to be added to what
  // is here (`sum`) or to take its place.
  void pass(MpiEngine::Worker& worker, const Buffer& buffer, int out, int in, const Reduce* sum);

  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0, ranks_ = 1;
  std::array<std::vector<std::byte>, 2> scratch_;
};

}  // namespace homolog::comm
