// What workers say to each other before they are a world: a magic, a protocol number, a length, and
// a JSON text. Whatever else comes from a connection is a stranger's.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "cluster/comm/socket.h"
#include "cluster/topology/rank.h"

namespace homolog::comm {

// One worker, as the others have to know it.
struct Member {
  int rank = 0, size = 1;
  std::string host, boot;  // its name; the kernel's boot id, which tells hosts of one name apart
  std::string address;     // as rank 0 sees it; "": on rank 0's own host
  std::int64_t pid = 0;
  int port = 0;              // where it waits for its neighbour in the ring
  int local_index = -1;      // on its host, where its starter said it
  std::string text() const;  // "rank 3 on host n2 (pid 77)"
};
nlohmann::json to_json(const Member& member);
// Throws Stranger when a field is missing, of another kind, or out of bounds.
Member member_from(const nlohmann::json& json);

struct Stranger {
  std::string why;  // "it is no homolog: it began with 'GET /'"
};

std::string message(const nlohmann::json& json);  // with magic, protocol and length before it

// Collects one message from a connection.
class MessageReader {
 public:
  explicit MessageReader(std::size_t longest) : longest_(longest) {}
  // nullopt: not all is there yet. Throws Stranger, also when the connection closed before.
  std::optional<nlohmann::json> read(const Socket& socket);

 private:
  std::size_t longest_;
  std::string bytes_;
};

constexpr std::size_t kLongestGreeting = 4096, kLongestAnswer = std::size_t{64} << 20;

Member describe_self(const topology::Rank& rank, int local_index, int port);

// Place of `rank` among the members of its host. The starters' words hold where they are whole.
topology::Rank place_among(const std::vector<Member>& members, int rank);

}  // namespace homolog::comm
