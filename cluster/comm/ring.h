// Data connections: each rank sends to the next and receives from the one before. Large all-reduces
// and broadcasts stream round the ring in one pipelined pass.
#pragma once

#include <cstddef>

#include "cluster/comm/communicator.h"
#include "cluster/comm/control_star.h"

namespace homolog::comm {

class Ring {
 public:
  // Connects to the next rank, waits for the one before at `listener`. `hub`: address by which this
  // rank reached rank 0. Throws Lost naming the rank that cannot be reached or does not come.
  Ring(ControlStar& star, const Socket& listener, const std::string& hub, const std::string& secret,
       double timeout_s);

  // In place. The order of summation is fixed by the count and the world: chunk c begins at rank c
  // and goes round once. All ranks end with the same bits.
  void all_reduce(Buffer buffer, Reduce how, const Deadline& deadline);
  void broadcast(Buffer buffer, int root, const Deadline& deadline);
  void close();

 private:
  struct Head;
  void connect_next(const std::string& hub, const std::string& secret, const Deadline& deadline);
  void accept_previous(const Socket& listener, const std::string& secret, const Deadline& deadline);
  // Both ends of this rank's ring are at the same collective. Throws Lost where they are not.
  void agree(const Buffer& buffer, std::uint32_t operation, const Deadline& deadline);
  std::size_t send(const std::byte* data, std::size_t bytes);
  std::size_t receive(std::byte* data, std::size_t bytes);
  void wait(bool receiving, bool sending, const Deadline& deadline);
  const Member& next() const;
  const Member& previous() const;

  ControlStar& star_;
  Socket to_next_, from_previous_;
};

}  // namespace homolog::comm
