// Each rank tells where it stands on a page of an anonymous memory file, which its neighbours open
// through /proc: nothing is left behind when a rank is killed. The values are read with
// process_vm_readv, because memory that processes share gets no huge pages by default, and
// gradients on small ones cost the update more than the sum does (measured).
#include "cluster/comm/neighbours.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <random>
#include <sstream>

#include "base/error.h"
#include "cluster/comm/reduction.h"

namespace homolog::comm {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr long kLookEvery = 20'000'000;                 // ns
constexpr std::size_t kBlock = std::size_t{256} << 10;  // bytes read at once stay in the cache

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  int fd() const { return fd_; }
  void* map() const {  // null where it cannot be
    void* at = fd_ < 0 ? MAP_FAILED
                       : ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    return at == MAP_FAILED ? nullptr : at;
  }

 private:
  int fd_;
};

// What a rank tells the others of its page.
struct Card {
  std::string host;
  long process = 0;
  int descriptor = -1;      // -1: it has none
  std::uint64_t token = 0;  // also lies in its memory, at `address`
  std::uint64_t address = 0;

  std::string text() const {
    std::ostringstream out;
    out << process << ' ' << descriptor << ' ' << token << ' ' << address << ' ' << host;
    return out.str();
  }
  static Card read(const std::string& text) {
    Card card;
    std::istringstream in(text);
    in >> card.process >> card.descriptor >> card.token >> card.address;
    in.get();
    std::getline(in, card.host);
    return card;
  }
};

bool read_memory(long process, std::uint64_t address, void* to, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes;) {  // one call reads 2 GiB at most
    const iovec here{static_cast<std::byte*>(to) + done, bytes - done},
        there{reinterpret_cast<void*>(address + done), bytes - done};
    const ssize_t n = ::process_vm_readv(static_cast<pid_t>(process), &here, 1, &there, 1, 0);
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

// Proves that process and page are those that were meant, and may be read.
bool is_open(const Card& card, const void* page) {
  std::uint64_t on_page = 0, in_memory = 0;
  if (page == nullptr || !read_memory(card.process, card.address, &in_memory, sizeof in_memory))
    return false;
  std::memcpy(&on_page, page, sizeof on_page);
  return on_page == card.token && in_memory == card.token;
}

// How many groups there are, 0 when they differ in size.
int number_of_groups(const std::vector<std::string>& texts) {
  std::map<std::string, int> sizes;
  for (const std::string& text : texts) ++sizes[Card::read(text).host];
  const bool alike = std::all_of(sizes.begin(), sizes.end(), [&](const auto& host) {
    return host.second == sizes.begin()->second;
  });
  return alike ? static_cast<int>(sizes.size()) : 0;
}

}  // namespace

// Marks hold the number of the last round that a rank has come so far in, each on a line of the
// cache of its own.
struct Neighbours::Page {
  std::uint64_t token, address, count;
  std::int64_t process;
  Scalar type;
  alignas(64) std::uint32_t arrived;
  alignas(64) std::uint32_t summed;
  alignas(64) std::uint32_t done;
};

struct Neighbours::Share {
  std::size_t offset, count;  // bytes, values
};

std::shared_ptr<Neighbours> Neighbours::meet(const std::string& host, const Gather& gather) {
  std::shared_ptr<Neighbours> made(new Neighbours);
  std::random_device random;
  const std::uint64_t token = (std::uint64_t{random()} << 32) | random();
  const Descriptor own(::memfd_create("homolog-neighbours", MFD_CLOEXEC));
  const bool has_room = own.fd() >= 0 && ::ftruncate(own.fd(), kPageBytes) == 0;
  auto* own_page = static_cast<Page*>(has_room ? own.map() : nullptr);
  if (own_page != nullptr) {
    own_page->token = token;
    own_page->process = ::getpid();
  }
  const Card card{host, ::getpid(), own_page != nullptr ? own.fd() : -1, token,
                  reinterpret_cast<std::uint64_t>(&token)};
  const std::vector<std::string> texts = gather(card.text());
  bool good = true;
  for (const std::string& text : texts) {
    const Card other = Card::read(text);
    if (other.host != host) continue;
    Page* page = own_page;
    if (other.token == token) {
      made->index_ = made->size();
    } else {
      const std::string file =
          "/proc/" + std::to_string(other.process) + "/fd/" + std::to_string(other.descriptor);
      page = static_cast<Page*>(Descriptor(::open(file.c_str(), O_RDWR | O_CLOEXEC)).map());
    }
    made->pages_.push_back(page);
    good = good && is_open(other, page);
  }
  made->groups_ = number_of_groups(texts);
  good = good && made->size() > 1 && made->groups_ > 0;
  // Until all have answered, each keeps open what the others may still have to open.
  for (const std::string& text : gather(good ? "all open" : "")) good = good && !text.empty();
  return good ? made : nullptr;
}

Neighbours::~Neighbours() {
  for (Page* page : pages_)
    if (page != nullptr) ::munmap(page, kPageBytes);
}

// Whole lines of the cache, so that no two ranks work on one.
Neighbours::Share Neighbours::share_of(int index, const Buffer& buffer) const {
  constexpr std::size_t kLine = 64;
  const std::size_t width = size_of(buffer.type), ranks = pages_.size(), line = kLine / width,
                    lines = (buffer.count + line - 1) / line, each = (lines + ranks - 1) / ranks,
                    begin = std::min(buffer.count, each * static_cast<std::size_t>(index) * line),
                    end = std::min(buffer.count, begin + each * line);
  return {begin * width, end - begin};
}

void Neighbours::meet_at(std::uint32_t Page::*mark, const Waiting& waiting) {
  std::uint32_t& own_word = own().*mark;
  std::atomic_ref(own_word).store(round_, std::memory_order_release);
  ::syscall(SYS_futex, &own_word, FUTEX_WAKE, size(), nullptr, nullptr, 0);
  for (Page* page : pages_) {
    std::uint32_t& word = page->*mark;
    for (;;) {
      const std::uint32_t seen = std::atomic_ref(word).load(std::memory_order_acquire);
      if (static_cast<std::int32_t>(seen - round_) >= 0) break;
      const timespec moment{0, kLookEvery};
      ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, &moment, nullptr, 0);
      waiting();
    }
  }
}

void Neighbours::read(int from, std::size_t offset, void* to, std::size_t bytes) const {
  const Page& page = *pages_[static_cast<std::size_t>(from)];
  if (read_memory(page.process, page.address + offset, to, bytes)) return;
  throw Error(Fault::Environment,
              "the memory of another rank of this host cannot be read: " +
                  std::string(std::strerror(errno)),
              "it has probably died: see its log");
}

void Neighbours::begin_round(const Buffer& buffer, const Waiting& waiting) {
  ++round_;
  Page& page = own();
  page.address = reinterpret_cast<std::uint64_t>(buffer.data);
  page.count = buffer.count;
  page.type = buffer.type;
  meet_at(&Page::arrived, waiting);
  for (const Page* other : pages_) {
    if (other->count == buffer.count && other->type == buffer.type) continue;
    throw Error(Fault::Environment,
                "the ranks of this host disagree about what is summed next: " +
                    std::to_string(other->count) + " values, here " + std::to_string(buffer.count),
                "start every worker with the same program and configuration");
  }
}

void Neighbours::sum_own_share(const Buffer& buffer, Reduce how) {
  const Share share = share_of(index_, buffer);
  const std::size_t width = size_of(buffer.type), bytes = share.count * width;
  auto* values = static_cast<std::byte*>(buffer.data) + share.offset;
  block_.resize(kBlock);
  for (std::size_t at = 0; at < bytes; at += kBlock) {
    const std::size_t here = std::min(kBlock, bytes - at);
    for (int r = 0; r < size(); ++r) {
      if (r == index_) continue;
      read(r, share.offset + at, block_.data(), here);
      combine(block_.data(), values + at, here / width, buffer.type, how);
    }
  }
}

void Neighbours::collect_shares(const Buffer& buffer) {
  for (int r = 0; r < size(); ++r) {
    const Share share = share_of(r, buffer);
    if (r == index_ || share.count == 0) continue;
    read(r, share.offset, static_cast<std::byte*>(buffer.data) + share.offset,
         share.count * size_of(buffer.type));
  }
}

void Neighbours::all_reduce(const Buffer& buffer, Reduce how, const Across& across,
                            const Waiting& waiting) {
  begin_round(buffer, waiting);
  sum_own_share(buffer, how);
  if (across) {
    const Share share = share_of(index_, buffer);
    across({static_cast<std::byte*>(buffer.data) + share.offset, share.count, buffer.type});
  }
  meet_at(&Page::summed, waiting);
  collect_shares(buffer);
  meet_at(&Page::done, waiting);
}

}  // namespace homolog::comm
