// Each rank tells where it stands on a page of an anonymous memory file, which its neighbours open
// through /proc: nothing is left behind when a rank is killed. The values are read with
// process_vm_readv, because memory that processes share gets no huge pages by default, and
// gradients on small ones cost the update more than the sum does (measured).
#include "cluster/comm/neighbours.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
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
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "cluster/comm/reduction.h"

namespace homolog::comm {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr long kLookEvery = 20'000'000;                 // ns
constexpr std::size_t kBlock = std::size_t{256} << 10;  // bytes that are summed stay in the cache
constexpr std::size_t kPiece = std::size_t{16} << 20;   // bytes read before this rank looks up

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

// The page of another rank; null where it is not what the card says, or may not be read. Its memory
// is asked first: in other process namespaces these numbers belong to strangers.
void* page_of(const Card& card) {
  std::uint64_t token = 0;
  if (!read_memory(card.process, card.address, &token, sizeof token) || token != card.token)
    return nullptr;
  const std::string file =
      "/proc/" + std::to_string(card.process) + "/fd/" + std::to_string(card.descriptor);
  const Descriptor there(::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (there.fd() < 0 || ::fstat(there.fd(), &info) != 0 ||
      info.st_size != static_cast<off_t>(kPageBytes))
    return nullptr;
  void* page = there.map();
  if (page == nullptr) return nullptr;
  std::memcpy(&token, page, sizeof token);
  if (token == card.token) return page;
  ::munmap(page, kPageBytes);
  return nullptr;
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
  Reduce how;
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
  std::string obstacle;
  for (std::size_t rank = 0; rank < texts.size(); ++rank) {
    const Card other = Card::read(texts[rank]);
    if (other.host != host) continue;
    const bool is_own = other.token == token;
    if (is_own) made->index_ = made->size();
    made->pages_.push_back(is_own ? own_page : static_cast<Page*>(page_of(other)));
    made->ranks_.push_back(static_cast<int>(rank));
    if (made->pages_.back() == nullptr && obstacle.empty())
      obstacle = "the memory of rank " + std::to_string(rank) + " cannot be read by another";
  }
  made->groups_ = number_of_groups(texts);
  if (made->groups_ == 0) obstacle = "the hosts have different numbers of ranks";
  if (made->size() == 1) obstacle = "one rank a host";
  // Until all have answered, each keeps open what the others may still have to open.
  for (const std::string& text : gather(obstacle))
    if (!text.empty()) obstacle = text;
  if (obstacle.empty()) return made;
  if (made->size() > 1 && Card::read(texts.front()).token == token)
    log::info("ranks of a host do not sum in each other's memory", {{"reason", obstacle}});
  return nullptr;
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

std::string Neighbours::name(int index) const {
  const auto i = static_cast<std::size_t>(index);
  return "rank " + std::to_string(ranks_[i]) + " (process " + std::to_string(pages_[i]->process) +
         ")";
}

bool Neighbours::look(const Waiting& waiting) {
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < std::chrono::nanoseconds(kLookEvery)) return false;
  looked_ = now;
  waiting();
  return true;
}

void Neighbours::meet_at(std::uint32_t Page::*mark, const Waiting& waiting) {
  std::uint32_t& own_word = own().*mark;
  std::atomic_ref(own_word).store(round_, std::memory_order_release);
  ::syscall(SYS_futex, &own_word, FUTEX_WAKE, size(), nullptr, nullptr, 0);
  for (int i = 0; i < size(); ++i) {
    Page& page = *pages_[static_cast<std::size_t>(i)];
    std::uint32_t& word = page.*mark;
    const auto come = [&] {
      const std::uint32_t seen = std::atomic_ref(word).load(std::memory_order_acquire);
      return std::pair(static_cast<std::int32_t>(seen - round_) >= 0, seen);
    };
    for (auto [here, seen] = come(); !here; std::tie(here, seen) = come()) {
      const timespec moment{0, kLookEvery};
      ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, &moment, nullptr, 0);
      if (!look(waiting)) continue;
      const bool is_gone = ::kill(static_cast<pid_t>(page.process), 0) != 0 && errno == ESRCH;
      if (is_gone && !come().first)
        throw Error(Fault::Environment, name(i) + " of this host has ended", "see its log");
    }
  }
}

void Neighbours::read(int from, std::size_t offset, void* to, std::size_t bytes) const {
  const Page& page = *pages_[static_cast<std::size_t>(from)];
  if (read_memory(page.process, page.address + offset, to, bytes)) return;
  throw Error(Fault::Environment,
              "the memory of " + name(from) + " cannot be read: " + std::strerror(errno),
              errno == ESRCH ? "it has ended: see its log" : "see its log");
}

void Neighbours::begin_round(const Buffer& buffer, Reduce how, const Waiting& waiting) {
  ++round_;
  Page& page = own();
  page.address = reinterpret_cast<std::uint64_t>(buffer.data);
  page.count = buffer.count;
  page.type = buffer.type;
  page.how = how;
  meet_at(&Page::arrived, waiting);
  const auto said = [](const Page& of) {
    return std::to_string(of.count) + " values of " + std::to_string(size_of(of.type)) +
           " bytes, operation " + std::to_string(static_cast<int>(of.how));
  };
  for (int i = 0; i < size(); ++i) {
    const Page& other = *pages_[static_cast<std::size_t>(i)];
    if (other.count == page.count && other.type == page.type && other.how == page.how) continue;
    throw Error(Fault::Environment,
                name(i) + " and " + name(index_) +
                    " disagree about what is reduced next: " + said(other) + "; " + said(page),
                "start every worker with the same program and configuration");
  }
}

void Neighbours::sum_own_share(const Buffer& buffer, Reduce how, const Waiting& waiting) {
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
    look(waiting);
  }
}

void Neighbours::collect_shares(const Buffer& buffer, const Waiting& waiting) {
  auto* values = static_cast<std::byte*>(buffer.data);
  for (int r = 0; r < size(); ++r) {
    const Share share = share_of(r, buffer);
    const std::size_t bytes = r == index_ ? 0 : share.count * size_of(buffer.type);
    for (std::size_t at = 0; at < bytes; at += kPiece) {
      read(r, share.offset + at, values + share.offset + at, std::min(kPiece, bytes - at));
      look(waiting);
    }
  }
}

void Neighbours::all_reduce(const Buffer& buffer, Reduce how, const Across& across,
                            const Waiting& waiting) {
  begin_round(buffer, how, waiting);
  sum_own_share(buffer, how, waiting);
  if (across) {
    const Share share = share_of(index_, buffer);
    across({static_cast<std::byte*>(buffer.data) + share.offset, share.count, buffer.type});
  }
  meet_at(&Page::summed, waiting);
  collect_shares(buffer, waiting);
  meet_at(&Page::done, waiting);
  waiting();  // a rank that was stopped meanwhile may have read what was given up
}

}  // namespace homolog::comm
