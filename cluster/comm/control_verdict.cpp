// The part of ControlStar that finds out who is to blame.
#include <thread>

#include "base/error.h"
#include "cluster/comm/control_star.h"

namespace homolog::comm {
namespace {

constexpr const char* kRemedy =
    "the ranks that are named are the cause: see their logs, and that their hosts are up and reach "
    "the others";

// Seconds. Who computes looks five times a second at what has come.
constexpr double kGoneShows = 0.7, kAnswersTake = 3, kVerdictTakes = 6;
constexpr auto kPause = std::chrono::milliseconds(10);

}  // namespace

void ControlStar::settle(const Lost& first) {
  throw Error(Fault::Environment, rank_ == 0 ? judge(first) : ask_rank_0(first), kRemedy);
}

std::string ControlStar::ask_rank_0(const Lost& first) {
  Link& hub = links_[0];
  if (!hub.closed && verdict_.empty()) {
    try_send(hub, Kind::Report, first.stalled ? 1 : 0, first.why);
    for (const Deadline end(kVerdictTakes); !end.past() && !hub.closed && verdict_.empty();) {
      receive(hub);
      std::this_thread::sleep_for(kPause);
    }
  }
  if (!verdict_.empty()) return verdict_;
  if (hub.closed)
    return members_[0].text() + " is gone: it died, or ended by itself; noticed at " + here();
  return members_[0].text() +
         " does not answer: it is stopped, hangs, or the network to it is gone; noticed at " +
         here() + (first.stalled ? "" : ": " + first.why);
}

std::string ControlStar::judge(const Lost& first) {
  std::uint64_t sequence = sequence_;
  std::string purpose = here();
  bool stalled = first.stalled;
  if (stalled) {  // of the ranks that wait, the one that is furthest knows what is missing
    for (const Link& link : links_) {
      if (!link.report || link.report->head.sequence <= sequence) continue;
      sequence = link.report->head.sequence;
      purpose = "collective " + std::to_string(sequence);
    }
    for (Link& link : links_) try_send(link, Kind::Query, 0, "");
  }
  for (const Deadline end(stalled ? kAnswersTake : kGoneShows); !end.past();) {
    receive_all();
    bool all = stalled;
    for (const Link& link : links_) all = all && (link.closed || link.where);
    if (all) break;
    std::this_thread::sleep_for(kPause);
  }
  const std::string found = found_out(stalled, sequence, purpose);
  std::string text = found.empty() ? first.why : found;
  if (found.empty() && stalled) text += ", and no rank is behind: the network moves too little";
  for (Link& link : links_) try_send(link, Kind::Verdict, 0, text);
  return text;
}

// "": nobody stands out.
std::string ControlStar::found_out(bool stalled, std::uint64_t sequence,
                                   const std::string& purpose) {
  std::string gone, behind, silent, elsewhere;
  const auto add = [](std::string& list, const Member& m) {
    list += (list.empty() ? "" : ", ") + m.text();
  };
  if (stalled && sequence_ < sequence) add(behind, members_[0]);
  for (const Link& link : links_) {
    const Member& m = members_[static_cast<std::size_t>(link.rank)];
    if (link.closed && !link.report)
      add(gone, m);
    else if (stalled && !link.where && !link.report)
      add(silent, m);
    else if (stalled && link.where && link.where->head.sequence < sequence)
      add(behind, m);
    else if (stalled && link.where && link.where->head.sequence == sequence_ &&
             link.where->payload != here())
      elsewhere += ", " + m.text() + " at " + link.where->payload;
  }
  if (!gone.empty()) return gone + " is gone: it died, or ended by itself; noticed at " + purpose;
  if (!silent.empty()) {
    return silent +
           " does not answer: it is stopped, or its host or the network to it is gone; "
           "noticed at " +
           purpose;
  }
  if (!behind.empty())
    return behind + " has not come to " + purpose +
           " in time: it computes, waits for data, or hangs";
  if (!elsewhere.empty())
    return "the ranks disagree about what comes next: rank 0 is at " + here() + elsewhere;
  return "";
}

}  // namespace homolog::comm
