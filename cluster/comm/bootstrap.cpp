#include "cluster/comm/bootstrap.h"

#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/own_host.h"
#include "cluster/comm/meeting_file.h"

namespace homolog::comm {
namespace {

constexpr const char* kOnePlaceEach =
    "end the other run, or give this one another cluster.rendezvous";
constexpr double kProbeTakes = 3;    // s
constexpr double kAnswerTakes = 10;  // s beyond the timeout, in which rank 0 names who is missing
constexpr auto kAgain = std::chrono::milliseconds(100);

Socket listen_anywhere(const std::string& host) {
  auto listener = listen_at(host, 0);
  if (!listener) throw Error(Fault::Environment, "no TCP port is free on host " + own_host());
  return std::move(*listener);
}

[[noreturn]] void not_complete(const std::string& place, double timeout_s, const std::string& why) {
  throw Error(
      Fault::Environment,
      "rank 0 did not answer at " + place + " within " + human_duration(timeout_s) + ": " + why,
      "see the log of rank 0; that cluster.rendezvous names its host, and that this host "
      "reaches it");
}

// ---- at a host and port

// What a second rank 0 hears of the first.
std::string holder(const topology::Rendezvous& where, const Member& self, const Pass& pass) {
  std::string why;
  try {
    knock(self, pass, where.host, where.port, Deadline(kProbeTakes), why);
    return why;
  } catch (const Error& e) {
    return e.summary();
  }
}

World meet_at_port(const topology::Rendezvous& where, const Member& self, double timeout_s) {
  const Pass pass{where.world_id, ""};
  if (self.rank == 0) {
    const auto listener = listen_at(where.host, where.port);
    if (!listener) {
      throw Error(Fault::Environment,
                  "port " + std::to_string(where.port) + " of host " + self.host +
                      " is in use: " + holder(where, self, pass),
                  kOnePlaceEach);
    }
    return call_roll(self, pass, where.text(), *listener, timeout_s, {});
  }
  std::string why;
  const Deadline deadline(timeout_s), answered(timeout_s + kAnswerTakes);
  while (!deadline.past()) {
    if (auto world = knock(self, pass, where.host, where.port, answered, why))
      return std::move(*world);
    std::this_thread::sleep_for(kAgain);
  }
  not_complete(where.text(), timeout_s, why);
}

// ---- through a file

// One try at each address of rank 0; this host's own name means loopback is worth one, too.
std::optional<World> visit(const Meeting& meeting, const Member& self, const Deadline& deadline,
                           std::string& why) {
  std::vector<std::string> addresses = meeting.addresses;
  if (meeting.host == self.host) addresses.insert(addresses.begin(), "127.0.0.1");
  for (const std::string& address : addresses) {
    if (auto world =
            knock(self, {meeting.world_id, meeting.key}, address, meeting.port, deadline, why))
      return world;
  }
  return std::nullopt;
}

// Rank 0 found a file: another world that forms there goes first, what a dead one left is removed.
void clear_stale(const std::filesystem::path& file, const Member& self) {
  const auto found = read_meeting(file);
  if (!found) return;
  std::string why;
  const std::string place = "the meeting file " + file.string() + " is in use by rank 0 on ";
  try {
    visit(*found, self, Deadline(kProbeTakes), why);
  } catch (const Error& e) {
    throw Error(Fault::Environment, place + found->text() + ": " + e.summary(), kOnePlaceEach);
  }
  if (why == kNeverAnswered)  // stopped, perhaps
    throw Error(Fault::Environment, place + found->text() + ", which does not answer",
                "end that run, or remove the file");
  log::warn("replaced a meeting file that an earlier job left",
            {{"file", file}, {"of", found->text()}});
  ::unlink(file.c_str());
}

World meet_through_file(const topology::Rendezvous& where, const Member& self, double timeout_s) {
  const Socket listener = listen_anywhere("");
  const std::string key = random_key_hex();
  for (int tries = 0; tries < 3; ++tries) {
    const MeetingFile file(where.file, {where.world_id, key, self.host, self.pid,
                                        listener.own_port(), own_addresses(), utc_timestamp()});
    if (file.published()) {
      return call_roll(self, {where.world_id, key}, where.text(), listener, timeout_s,
                       [&] { file.require_still_ours(); });
    }
    clear_stale(where.file, self);
  }
  throw Error(Fault::Environment, where.text() + " comes back whenever it is removed",
              kOnePlaceEach);
}

World find_through_file(const topology::Rendezvous& where, const Member& self, double timeout_s) {
  std::string why = "no such file; rank 0 writes it";
  const Deadline deadline(timeout_s), answered(timeout_s + kAnswerTakes);
  while (!deadline.past()) {
    const auto meeting = read_meeting(where.file);
    if (meeting && meeting->world_id != where.world_id) {
      why = "an earlier job left it, or another one meets there: it is of the world '" +
            meeting->world_id + "' (here: '" + where.world_id + "') by rank 0 on " +
            meeting->text();
    } else if (meeting) {
      std::string failed;
      if (auto world = visit(*meeting, self, answered, failed)) return std::move(*world);
      why = "rank 0 on " + meeting->text() + ", does not answer (" + failed +
            "): an earlier job left the file, or this host does not reach that one";
    }
    std::this_thread::sleep_for(kAgain);
  }
  not_complete(where.text(), timeout_s, why);
}

}  // namespace

Joined meet(const topology::Rendezvous& where, const topology::Place& place, double timeout_s) {
  const bool here = where.host == "localhost" || is_loopback(where.host);
  Socket ring_listener = listen_anywhere(here ? where.host : "");
  topology::Rank rank;
  rank.index = place.index;
  rank.size = place.size;
  const Member self = describe_self(rank, place.local_index.value_or(-1), ring_listener.own_port());
  World world = where.file.empty() ? meet_at_port(where, self, timeout_s)
                : self.rank == 0   ? meet_through_file(where, self, timeout_s)
                                   : find_through_file(where, self, timeout_s);
  const std::string own = where.host == "::1" ? "::1" : "127.0.0.1";
  std::string hub = self.rank == 0 ? own : world.control[0].peer_address();
  return {std::move(world), std::move(ring_listener), std::move(hub)};
}

}  // namespace homolog::comm
