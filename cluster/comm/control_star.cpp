#include "cluster/comm/control_star.h"

#include <cstring>

#include "base/error.h"
#include "cluster/comm/wire_thread.h"

namespace homolog::comm {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(50);
constexpr std::uint64_t kLongestFrame = std::uint64_t{1} << 36;

}  // namespace

ControlStar::ControlStar(int rank, std::vector<Member> members, std::vector<Socket> links,
                         std::shared_ptr<std::atomic<bool>> abandoned)
    : rank_(rank), members_(std::move(members)), abandoned_(std::move(abandoned)) {
  for (std::size_t i = 0; i < links.size(); ++i) {
    if (!links[i]) continue;
    links_.emplace_back();
    links_.back().rank = rank == 0 ? static_cast<int>(i) : 0;
    links_.back().socket = std::move(links[i]);
  }
}

void ControlStar::enter(std::string purpose) {
  ++sequence_;
  purpose_ = std::move(purpose);
}

std::string ControlStar::here() const {
  return "'" + purpose_ + "' (collective " + std::to_string(sequence_) + ")";
}

void ControlStar::close() {
  for (Link& link : links_) link.socket.close();
}

// ---- frames

// What has come over a link, without waiting.
void ControlStar::receive(Link& link) {
  while (!link.closed) {
    Head head{};
    std::size_t wanted = sizeof head;
    if (link.bytes.size() >= sizeof head) {
      std::memcpy(&head, link.bytes.data(), sizeof head);
      if (head.length > kLongestFrame) {
        link.closed = true;
        return;
      }
      wanted += head.length;
      if (link.bytes.size() == wanted) {
        Frame frame{head, link.bytes.substr(sizeof head)};
        link.bytes.clear();
        take(link, std::move(frame));
        continue;
      }
    }
    const std::size_t had = link.bytes.size();
    link.bytes.resize(wanted);
    const auto got = link.socket.receive_some(link.bytes.data() + had, wanted - had);
    link.bytes.resize(had + got.value_or(0));
    if (!got) link.closed = true;
    if (!got || *got == 0) return;
  }
}

void ControlStar::take(Link& link, Frame frame) {
  switch (frame.head.kind) {
    case Kind::Data:
      link.data.push_back(std::move(frame));
      return;
    case Kind::Report:
      link.report = std::move(frame);
      return;
    case Kind::Query:
      link.asked = true;
      return answer(link);
    case Kind::Where:
      link.where = std::move(frame);
      return;
    case Kind::Verdict:
      verdict_ = std::move(frame.payload);
      return;
  }
  link.closed = true;  // no homolog speaks like this
}

void ControlStar::send(Link& link, Kind kind, std::uint32_t tag, std::string_view payload,
                       const Deadline& deadline) {
  const Head head{kind, tag, sequence_, payload.size()};
  link.within_frame = true;
  std::string_view parts[2] = {{reinterpret_cast<const char*>(&head), sizeof head}, payload};
  for (std::string_view& part : parts) {
    while (!part.empty()) {
      const auto sent = link.socket.send_some(part.data(), part.size());
      if (!sent) {
        link.closed = true;
        throw Lost{members_[static_cast<std::size_t>(link.rank)].text() + " is gone"};
      }
      part.remove_prefix(*sent);
      pollfd writable{link.socket.fd(), POLLOUT, 0};
      if (*sent == 0) wait({&writable, 1}, deadline);
    }
  }
  link.within_frame = false;
  answer(link);
}

void ControlStar::answer(Link& link) {
  if (!link.asked || link.within_frame) return;
  link.asked = false;
  try_send(link, Kind::Where, 0, here());
}

// For words that matter only to who can still hear them; they fit into the socket's buffer.
void ControlStar::try_send(Link& link, Kind kind, std::uint32_t tag, std::string_view payload) {
  const Head head{kind, tag, sequence_, payload.size()};
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
  bytes += payload;
  if (!link.closed && !link.within_frame && !link.socket.send_all(bytes, Deadline(0.5)))
    link.closed = true;
}

// ---- waiting

void ControlStar::receive_all() {
  for (Link& link : links_) receive(link);
  looked_ = std::chrono::steady_clock::now();
}

void ControlStar::look() {
  if (*abandoned_) throw WireThread::Abandoned{};
  receive_all();
  if (!verdict_.empty()) throw Lost{verdict_};
  for (const Link& link : links_) {
    const Member& m = members_[static_cast<std::size_t>(link.rank)];
    // Who answered and left in good order is no loss to the rank that has not read the answer yet.
    if (link.closed && link.data.empty()) throw Lost{m.text() + " is gone"};
    if (link.report) throw Lost{link.report->payload, link.report->head.tag != 0};
  }
}

void ControlStar::wait(std::span<pollfd> sockets, const Deadline& deadline) {
  const int most = static_cast<int>(kLookEvery.count());
  const int ready = ::poll(sockets.data(), sockets.size(), deadline.poll_ms(most));
  if (*abandoned_) throw WireThread::Abandoned{};
  if (ready <= 0 || std::chrono::steady_clock::now() - looked_ > kLookEvery) look();
  if (ready <= 0 && deadline.past()) throw Lost{here() + " did not finish in time", true};
}

ControlStar::Frame ControlStar::next_data(Link& link, std::uint32_t tag, const Deadline& deadline) {
  while (true) {
    receive(link);
    if (!link.data.empty()) break;
    if (link.closed || !verdict_.empty() || link.report) look();
    pollfd readable{link.socket.fd(), POLLIN, 0};
    wait({&readable, 1}, deadline);
  }
  Frame frame = std::move(link.data.front());
  link.data.pop_front();
  if (frame.head.sequence != sequence_ || frame.head.tag != tag) {
    throw Lost{members_[static_cast<std::size_t>(link.rank)].text() + " and rank " +
               std::to_string(rank_) + " disagree about what comes next: it is at " +
               "collective " + std::to_string(frame.head.sequence) + ", this rank at " + here()};
  }
  return frame;
}

std::string ControlStar::round(std::uint32_t tag, std::string payload, const Answer& answer,
                               const Deadline& deadline) {
  if (rank_ != 0) {
    send(links_[0], Kind::Data, tag, payload, deadline);
    return next_data(links_[0], tag, deadline).payload;
  }
  std::vector<std::string> payloads;
  payloads.push_back(std::move(payload));
  for (Link& link : links_) payloads.push_back(next_data(link, tag, deadline).payload);
  std::string told = answer(payloads);
  for (Link& link : links_) send(link, Kind::Data, tag, told, deadline);
  return told;
}

}  // namespace homolog::comm
