#include "cluster/comm/ring.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "cluster/comm/reduction.h"

namespace homolog::comm {
namespace {

constexpr std::size_t kPiece = std::size_t{256} << 10;  // received pieces stay in the cache
constexpr std::size_t kSend = std::size_t{1} << 20;

// One rank's share of a ring all-reduce as two streams of 2(n-1) segments: what goes out as segment
// k+1 is what came in as segment k, so any prefix may leave as soon as it is there. The first n-1
// segments are summed on the way in, the others are final values.
class Pass {
 public:
  Pass(Buffer buffer, Reduce how, int rank, int ranks)
      : buffer_(buffer),
        how_(how),
        width_(size_of(buffer.type)),
        rank_(rank),
        ranks_(ranks),
        scratch_(std::min(kPiece, (buffer.count / static_cast<std::size_t>(ranks) + 1) * width_)) {
    skip_empty(out_, rank_);
    skip_empty(in_, rank_ - 1);
  }

  bool receiving() const { return in_.segment < segments(); }
  bool sending() const { return out_.segment < segments(); }

  std::pair<const std::byte*, std::size_t> sendable() const {
    const std::size_t here = end(rank_, out_.segment) - begin(rank_, out_.segment);
    std::size_t there = here;
    if (out_.segment > 0 && in_.segment < out_.segment)
      there = in_.segment == out_.segment - 1 ? in_.offset : 0;
    return {bytes() + begin(rank_, out_.segment) + out_.offset,
            std::min(there - out_.offset, kSend)};
  }
  void sent(std::size_t count) {
    out_.offset += count;
    skip_empty(out_, rank_);
  }

  std::pair<std::byte*, std::size_t> room() {
    const std::size_t left = segment_end() - segment_begin() - in_.offset;
    if (final_values()) return {bytes() + segment_begin() + in_.offset, left};
    return {scratch_.data() + partial_, std::min(scratch_.size(), left) - partial_};
  }
  void received(std::size_t count) {
    if (!final_values()) {
      partial_ += count;
      count = partial_ - partial_ % width_;
      combine(scratch_.data(), bytes() + segment_begin() + in_.offset, count / width_, buffer_.type,
              how_);
      partial_ -= count;
      std::memmove(scratch_.data(), scratch_.data() + count, partial_);
    }
    in_.offset += count;
    skip_empty(in_, rank_ - 1);
  }

 private:
  struct Place {
    int segment = 0;
    std::size_t offset = 0;  // bytes of the segment that are done
  };

  std::byte* bytes() const { return static_cast<std::byte*>(buffer_.data); }
  int segments() const { return 2 * (ranks_ - 1); }
  bool final_values() const { return in_.segment >= ranks_ - 1; }
  // Bytes of the chunk that a stream which begins with chunk `first` carries as its segment.
  std::size_t begin(int first, int segment) const { return bound(chunk(first, segment)); }
  std::size_t end(int first, int segment) const { return bound(chunk(first, segment) + 1); }
  std::size_t segment_begin() const { return begin(rank_ - 1, in_.segment); }
  std::size_t segment_end() const { return end(rank_ - 1, in_.segment); }
  int chunk(int first, int segment) const { return ((first - segment) % ranks_ + ranks_) % ranks_; }
  std::size_t bound(int chunk) const {
    const auto n = static_cast<std::size_t>(ranks_), c = static_cast<std::size_t>(chunk);
    return (buffer_.count / n * c + std::min(c, buffer_.count % n)) * width_;
  }
  void skip_empty(Place& at, int first) const {
    while (at.segment < segments() &&
           at.offset == end(first, at.segment) - begin(first, at.segment))
      at = {at.segment + 1, 0};
  }

  Buffer buffer_;
  Reduce how_;
  std::size_t width_;
  int rank_, ranks_;
  Place out_, in_;
  std::vector<std::byte> scratch_;
  std::size_t partial_ = 0;  // bytes in scratch_ that are no whole element yet
};

}  // namespace

struct Ring::Head {
  std::uint64_t sequence, bytes;
  std::uint32_t type, operation;
  bool operator==(const Head&) const = default;
};

const Member& Ring::next() const { return star_.member((star_.rank() + 1) % star_.size()); }
const Member& Ring::previous() const {
  return star_.member((star_.rank() + star_.size() - 1) % star_.size());
}

std::size_t Ring::send(const std::byte* data, std::size_t bytes) {
  const auto sent = to_next_.send_some(data, bytes);
  if (!sent) throw Lost{next().text() + " is gone"};
  return *sent;
}

std::size_t Ring::receive(std::byte* data, std::size_t bytes) {
  const auto got = from_previous_.receive_some(data, bytes);
  if (!got) throw Lost{previous().text() + " is gone"};
  return *got;
}

void Ring::wait(bool receiving, bool sending, const Deadline& deadline) {
  pollfd waiting[2] = {{receiving ? from_previous_.fd() : -1, POLLIN, 0},
                       {sending ? to_next_.fd() : -1, POLLOUT, 0}};
  star_.wait(waiting, deadline);
}

void Ring::agree(const Buffer& buffer, std::uint32_t operation, const Deadline& deadline) {
  const Head own{star_.sequence(), buffer.count * size_of(buffer.type),
                 static_cast<std::uint32_t>(buffer.type), operation};
  Head other{};
  std::size_t sent = 0, got = 0;
  while (sent < sizeof own || got < sizeof own) {
    const std::size_t before = sent + got;
    if (sent < sizeof own)
      sent += send(reinterpret_cast<const std::byte*>(&own) + sent, sizeof own - sent);
    if (got < sizeof own)
      got += receive(reinterpret_cast<std::byte*>(&other) + got, sizeof own - got);
    if (sent + got == before) wait(got < sizeof own, sent < sizeof own, deadline);
  }
  if (own == other) return;
  throw Lost{previous().text() + " and rank " + std::to_string(star_.rank()) +
             " disagree about what comes next: collective " + std::to_string(other.sequence) +
             " of " + std::to_string(other.bytes) + " bytes, collective " +
             std::to_string(own.sequence) + " of " + std::to_string(own.bytes) + " bytes"};
}

void Ring::all_reduce(Buffer buffer, Reduce how, const Deadline& deadline) {
  agree(buffer, static_cast<std::uint32_t>(how), deadline);
  Pass pass(buffer, how, star_.rank(), star_.size());
  while (pass.receiving() || pass.sending()) {
    std::size_t moved = 0;
    bool can_send = false;
    if (pass.receiving()) {
      const auto [at, room] = pass.room();
      const std::size_t got = receive(at, room);
      if (got > 0) pass.received(got);
      moved += got;
    }
    if (pass.sending()) {
      const auto [at, bytes] = pass.sendable();
      can_send = bytes > 0;
      const std::size_t sent = can_send ? send(at, bytes) : 0;
      if (sent > 0) pass.sent(sent);
      moved += sent;
    }
    if (moved == 0) wait(pass.receiving(), can_send, deadline);
  }
}

void Ring::broadcast(Buffer buffer, int root, const Deadline& deadline) {
  agree(buffer, 0x100U + static_cast<std::uint32_t>(root), deadline);
  auto* data = static_cast<std::byte*>(buffer.data);
  const std::size_t bytes = buffer.count * size_of(buffer.type);
  std::size_t there = star_.rank() == root ? bytes : 0;
  std::size_t sent = next().rank == root ? bytes : 0;
  while (there < bytes || sent < bytes) {
    const std::size_t before = there + sent;
    if (there < bytes) there += receive(data + there, std::min(bytes - there, kPiece));
    if (sent < there) sent += send(data + sent, std::min(there - sent, kSend));
    if (there + sent == before) wait(there < bytes, sent < there, deadline);
  }
}

void Ring::close() {
  to_next_.close();
  from_previous_.close();
}

}  // namespace homolog::comm
