// Anonymous memory files, opened by the neighbours through /proc: they need no room in /dev/shm,
// leave nothing behind when a rank is killed, and take huge pages where the system gives them.
#include "cluster/comm/neighbours.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <map>
#include <random>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "cluster/comm/reduction.h"

namespace homolog::comm {
namespace {

constexpr std::size_t kHugePage = 2 << 20, kPage = 4096;
constexpr long kLookEvery = 20'000'000;               // ns
constexpr std::size_t kBlock = std::size_t{8} << 10;  // bytes: the sum of a block stays in the cache

std::size_t rounded(std::size_t bytes) { return (bytes + kHugePage - 1) / kHugePage * kHugePage; }

std::uint64_t any_number() {
  std::random_device source;
  return (std::uint64_t{source()} << 32) | source();
}

}  // namespace

// Behind the values of each rank: how far it has come, each word on a line of the cache of its own.
struct Neighbours::Flags {
  std::uint64_t token;   // proves that what was opened is what was meant
  std::uint64_t offset;  // of the buffer whose turn it is
  std::uint64_t bytes;
  alignas(64) std::uint32_t arrived;
  alignas(64) std::uint32_t done;
};

struct Neighbours::Region {
  std::byte* bytes = nullptr;
  std::size_t size = 0;

  // Null where the memory cannot be mapped.
  static std::unique_ptr<Region> map(int descriptor, std::size_t size) {
    void* at = ::mmap(nullptr, size + kPage, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (at == MAP_FAILED) return nullptr;
    ::madvise(at, size, MADV_HUGEPAGE);
    auto region = std::make_unique<Region>();
    region->bytes = static_cast<std::byte*>(at);
    region->size = size;
    return region;
  }
  ~Region() { ::munmap(bytes, size + kPage); }
  Flags& flags() const { return *reinterpret_cast<Flags*>(bytes + size); }
};

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// What a rank tells the others of its memory.
struct Card {
  std::string host;
  long process = 0;
  int descriptor = -1;  // -1: it has none
  std::uint64_t token = 0;

  std::string text() const {
    std::ostringstream out;
    out << process << ' ' << descriptor << ' ' << token << ' ' << host;
    return out.str();
  }
  static Card read(const std::string& text) {
    Card card;
    std::istringstream in(text);
    in >> card.process >> card.descriptor >> card.token;
    in.get();
    std::getline(in, card.host);
    return card;
  }
};

int number_of_groups(const std::vector<std::string>& texts, std::size_t group) {
  std::map<std::string, std::size_t> sizes;
  for (const std::string& text : texts) ++sizes[Card::read(text).host];
  const bool alike = std::all_of(sizes.begin(), sizes.end(),
                                 [group](const auto& host) { return host.second == group; });
  return alike ? static_cast<int>(sizes.size()) : 0;
}

}  // namespace

std::shared_ptr<Neighbours> Neighbours::meet(std::size_t bytes, const std::string& host,
                                             const Gather& gather) {
  std::shared_ptr<Neighbours> made(new Neighbours);
  made->bytes_ = rounded(bytes);
  const Descriptor own(::memfd_create("homolog-gradients", MFD_CLOEXEC));
  Card card{host, ::getpid(), -1, any_number()};
  std::unique_ptr<Region> region;
  if (own.fd() >= 0 && ::ftruncate(own.fd(), static_cast<off_t>(made->bytes_ + kPage)) == 0)
    region = Region::map(own.fd(), made->bytes_);
  if (region) {
    region->flags().token = card.token;
    card.descriptor = own.fd();
  }
  const std::vector<std::string> texts = gather(card.text());
  bool good = region != nullptr;
  for (const std::string& text : texts) {
    const Card other = Card::read(text);
    if (other.host != host) continue;
    if (other.token == card.token) {
      made->index_ = made->size();
      if (region) made->own_ = region->bytes;
      made->regions_.push_back(std::move(region));
      continue;
    }
    const std::string path =
        "/proc/" + std::to_string(other.process) + "/fd/" + std::to_string(other.descriptor);
    const Descriptor theirs(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    made->regions_.push_back(theirs.fd() < 0 ? nullptr : Region::map(theirs.fd(), made->bytes_));
    good = good && made->regions_.back() && made->regions_.back()->flags().token == other.token;
  }
  made->groups_ = number_of_groups(texts, made->regions_.size());
  good = good && made->size() > 1 && made->groups_ > 0;
  // Also keeps each descriptor open until all have opened it.
  for (const std::string& text : gather(good ? "all seen" : "")) good = good && !text.empty();
  return good ? made : nullptr;
}

Neighbours::~Neighbours() = default;

bool Neighbours::holds(const Buffer& buffer) const {
  const auto* at = static_cast<const std::byte*>(buffer.data);
  return at >= own_ && at < own_ + bytes_ &&
         buffer.count * size_of(buffer.type) <= static_cast<std::size_t>(own_ + bytes_ - at);
}

void Neighbours::tell(std::uint32_t Flags::* flag) {
  std::uint32_t& word = regions_[static_cast<std::size_t>(index_)]->flags().*flag;
  std::atomic_ref(word).store(round_, std::memory_order_release);
  ::syscall(SYS_futex, &word, FUTEX_WAKE, size(), nullptr, nullptr, 0);
}

void Neighbours::wait_for_all(std::uint32_t Flags::* flag, const Waiting& waiting) const {
  for (const auto& region : regions_) {
    std::uint32_t& word = region->flags().*flag;
    for (;;) {
      const std::uint32_t seen = std::atomic_ref(word).load(std::memory_order_acquire);
      if (static_cast<std::int32_t>(seen - round_) >= 0) break;
      const timespec moment{0, kLookEvery};
      ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, &moment, nullptr, 0);
      waiting();
    }
  }
}

void Neighbours::begin_round(std::uint64_t offset, std::uint64_t bytes, const Waiting& waiting) {
  ++round_;
  Flags& own = regions_[static_cast<std::size_t>(index_)]->flags();
  own.offset = offset;
  own.bytes = bytes;
  tell(&Flags::arrived);
  wait_for_all(&Flags::arrived, waiting);
  for (const auto& region : regions_) {
    if (region->flags().offset == offset && region->flags().bytes == bytes) continue;
    throw Error(Fault::Environment,
                "the ranks of this host disagree about which gradients are summed next",
                "start every worker with the same program and configuration");
  }
}

void Neighbours::all_reduce(const Buffer& buffer, Reduce how, const Across& across,
                            const Waiting& waiting) {
  const auto offset = static_cast<std::size_t>(static_cast<std::byte*>(buffer.data) - own_);
  begin_round(offset, buffer.count * size_of(buffer.type), waiting);
  const std::size_t width = size_of(buffer.type), ranks = regions_.size(),
                    block = kBlock / width,
                    // Whole blocks, so that no two ranks write to one line of the cache.
      share = (buffer.count / ranks / block + 1) * block,
                    first = std::min(buffer.count, share * static_cast<std::size_t>(index_)),
                    end = std::min(buffer.count, first + share);
  const auto at = [&](std::size_t rank, std::size_t element) {
    return regions_[rank]->bytes + offset + element * width;
  };
  const auto spread = [&](std::size_t from, std::size_t count) {
    for (std::size_t r = 0; r < ranks; ++r)
      if (regions_[r]->bytes != own_)
        std::copy_n(at(static_cast<std::size_t>(index_), from), count * width, at(r, from));
  };
  alignas(64) std::byte sum[kBlock];
  for (std::size_t i = first; i < end; i += block) {
    const std::size_t count = std::min(block, end - i);
    std::copy_n(at(0, i), count * width, sum);
    for (std::size_t r = 1; r < ranks; ++r) combine(at(r, i), sum, count, buffer.type, how);
    std::copy_n(sum, count * width, at(static_cast<std::size_t>(index_), i));
    if (!across) spread(i, count);
  }
  if (across) {
    across({at(static_cast<std::size_t>(index_), first), end - first, buffer.type});
    spread(first, end - first);
  }
  tell(&Flags::done);
  wait_for_all(&Flags::done, waiting);
}

}  // namespace homolog::comm
