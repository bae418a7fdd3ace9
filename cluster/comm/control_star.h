// Control connections, rank 0 in the middle: small collectives, and who is to blame. A rank that
// loses a neighbour or waits too long reports to rank 0, which asks all ranks where they are and
// tells everybody one verdict, so that every log names the same culprit.
#pragma once

#include <poll.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cluster/comm/greeting.h"

namespace homolog::comm {

struct Lost {  // what a wait throws; settle() makes the Error of it
  std::string why;
  bool stalled = false;  // past the deadline; else a connection broke or ranks disagree
};

class ControlStar {
 public:
  // `links`: as World::control. Waits end, too, once `abandoned` is set (WireThread::Abandoned).
  ControlStar(int rank, std::vector<Member> members, std::vector<Socket> links,
              std::shared_ptr<std::atomic<bool>> abandoned);

  const Member& member(int rank) const { return members_.at(static_cast<std::size_t>(rank)); }
  int size() const { return static_cast<int>(members_.size()); }
  int rank() const { return rank_; }

  // The collective that this rank works on from now on.
  void enter(std::string purpose);
  std::uint64_t sequence() const { return sequence_; }

  // Every rank gives a payload; rank 0 makes the answer that all get. `tag` must agree.
  using Answer = std::function<std::string(std::vector<std::string>& payloads)>;  // by rank
  std::string round(std::uint32_t tag, std::string payload, const Answer& answer,
                    const Deadline& deadline);

  // Until one of `sockets` is ready, or a moment has passed. Throws Lost past the deadline and when
  // something has gone wrong anywhere.
  void wait(std::span<pollfd> sockets, const Deadline& deadline);
  void look();  // without waiting: throws Lost when something has gone wrong

  // Finds the culprit, with the others. Throws Error (Environment).
  [[noreturn]] void settle(const Lost& first);
  void close();

 private:
  enum class Kind : std::uint32_t { Data, Report, Query, Where, Verdict };
  struct Head {
    Kind kind;
    std::uint32_t tag;
    std::uint64_t sequence, length;
  };
  struct Frame {
    Head head;
    std::string payload;
  };
  struct Link {
    int rank = 0;
    Socket socket;
    std::string bytes;
    std::deque<Frame> data;
    bool closed = false;
    bool within_frame = false;  // a frame has gone in part: no other may follow
    bool asked = false;         // rank 0 wants to know where this rank is
    std::optional<Frame> report, where;
  };

  void receive(Link& link);
  void take(Link& link, Frame frame);
  void send(Link& link, Kind kind, std::uint32_t tag, std::string_view payload,
            const Deadline& deadline);
  void answer(Link& link);
  void try_send(Link& link, Kind kind, std::uint32_t tag, std::string_view payload);
  Frame next_data(Link& link, std::uint32_t tag, const Deadline& deadline);
  void receive_all();
  std::string found_out(bool stalled, std::uint64_t sequence, const std::string& purpose);
  std::string ask_rank_0(const Lost& first);
  std::string judge(const Lost& first);
  std::string here() const;  // "'bucket 3' (collective 12)"

  int rank_;
  std::vector<Member> members_;
  std::vector<Link> links_;  // rank 0: of the others; elsewhere one
  std::shared_ptr<std::atomic<bool>> abandoned_;
  std::uint64_t sequence_ = 0;
  std::string purpose_ = "joining";
  std::string verdict_;
  std::chrono::steady_clock::time_point looked_{};
};

}  // namespace homolog::comm
