// Forms a world over TCP: rank 0 waits until all have greeted it, then tells everybody who they
// are. Whoever is missing, is twice there or does not belong is named within the deadline.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/comm/greeting.h"

namespace homolog::comm {

struct Pass {  // equal on all members; without it nobody gets in
  std::string world_id;
  std::string key;  // of the meeting file; "" without one
};

struct World {
  std::vector<Member> members;  // by rank
  std::string secret;           // drawn by rank 0, known to the members alone
  std::vector<Socket> control;  // at rank 0 one for each rank (its own is empty), elsewhere one
};

// Rank 0. Calls `still_ours` (may be empty) about once a second while it waits; what that throws
// ends the wait. Throws Fault::Environment naming who did not come, Fault::Usage naming who
// believes in a world of another size. Those who came are told.
World call_roll(const Member& self, const Pass& pass, const std::string& place,
                const Socket& listener, double timeout_s, const std::function<void()>& still_ours);

// `why` of a knock at whose door somebody took the greeting and kept silent.
inline constexpr const char* kNeverAnswered = "it took the greeting and never answered";

// The other ranks, one try. nullopt when nobody answers there or the one who does is no homolog:
// `why` says how. Throws Fault::Environment or Fault::Usage with what rank 0 says when it refuses.
std::optional<World> knock(const Member& self, const Pass& pass, const std::string& host, int port,
                           const Deadline& deadline, std::string& why);

}  // namespace homolog::comm
