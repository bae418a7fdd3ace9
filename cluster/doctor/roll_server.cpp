#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "cluster/doctor/roll_call.h"
#include "cluster/doctor/roll_wire.h"

namespace homolog::doctor {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

std::string own_addresses() {
  std::string text;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return text;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    if ((one->ifa_flags & IFF_UP) == 0) continue;
    char name[INET_ADDRSTRLEN] = {};
    const auto* address = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
    ::inet_ntop(AF_INET, &address->sin_addr, name, sizeof name);
    text += std::string(" ") + name;
  }
  ::freeifaddrs(list);
  return text;
}

struct Connection {
  int rank = -1;  // until the first beat
  std::size_t filled = 0;
  Beat beat;
};

}  // namespace

struct RollServer::State {
  std::uint64_t token = 0;
  int listener = -1, port = 0;
  std::function<void(int)> lost;
  mutable std::mutex mutex;
  std::vector<LastBeat> last;
  std::vector<SteadyTime> heard;
  bool stop = false;
  std::map<int, Connection> connections;  // by descriptor; of the thread alone
  std::thread thread;

  void open() {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    socklen_t size = sizeof address;
    auto* const plain = reinterpret_cast<sockaddr*>(&address);
    if (listener < 0 || ::bind(listener, plain, size) != 0 || ::listen(listener, 1024) != 0 ||
        ::getsockname(listener, plain, &size) != 0)
      throw Error(Fault::Environment,
                  std::string("cannot listen for the ranks' beats: ") + std::strerror(errno));
    port = ntohs(address.sin_port);
  }

  void take(Connection& connection, int descriptor) {
    const Beat& beat = connection.beat;
    if (beat.token != token || beat.rank < 1 || beat.rank >= static_cast<int>(last.size())) return;
    connection.rank = beat.rank;
    const Answer answer{token, beat.sent, unix_seconds()};
    (void)!::send(descriptor, &answer, sizeof answer, MSG_NOSIGNAL | MSG_DONTWAIT);
    std::lock_guard lock(mutex);
    LastBeat& entry = last[static_cast<std::size_t>(beat.rank)];
    entry.came = true;
    entry.left = beat.goodbye != 0;
    entry.rung = beat.rung;
    entry.note.assign(beat.note, ::strnlen(beat.note, sizeof beat.note));
    heard[static_cast<std::size_t>(beat.rank)] = std::chrono::steady_clock::now();
  }

  // False: the connection has ended.
  bool read(Connection& connection, int descriptor) {
    for (;;) {
      auto* const bytes = reinterpret_cast<char*>(&connection.beat) + connection.filled;
      const ssize_t n = ::recv(descriptor, bytes, sizeof(Beat) - connection.filled, MSG_DONTWAIT);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      if (n == 0) return false;
      connection.filled += static_cast<std::size_t>(n);
      if (connection.filled < sizeof(Beat)) continue;
      connection.filled = 0;
      take(connection, descriptor);
    }
  }

  void drop(int descriptor) {
    const int rank = connections[descriptor].rank;
    connections.erase(descriptor);
    ::close(descriptor);
    if (rank < 0) return;
    bool missed;
    {
      std::lock_guard lock(mutex);
      LastBeat& entry = last[static_cast<std::size_t>(rank)];
      missed = !entry.left && !entry.gone && !stop;
      entry.gone = entry.gone || missed;
    }
    if (missed && lost) lost(rank);
  }

  void serve() {
    for (;;) {
      std::vector<pollfd> watched{{listener, POLLIN, 0}};
      for (const auto& [descriptor, connection] : connections)
        watched.push_back({descriptor, POLLIN, 0});
      ::poll(watched.data(), watched.size(), 50);
      {
        std::lock_guard lock(mutex);
        if (stop) break;
      }
      for (const pollfd& one : watched) {
        if (one.revents == 0) continue;
        if (one.fd != listener) {
          if (!read(connections[one.fd], one.fd)) drop(one.fd);
          continue;
        }
        const int made = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (made < 0) continue;
        const int on = 1;
        ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[made];
      }
    }
    for (const auto& [descriptor, connection] : connections) ::close(descriptor);
    ::close(listener);
  }
};

RollServer::RollServer(int ranks, std::function<void(int)> lost)
    : state_(std::make_shared<State>()) {
  std::random_device random;
  state_->token = (std::uint64_t{random()} << 32) | random();
  state_->lost = std::move(lost);
  state_->last.resize(static_cast<std::size_t>(ranks));
  state_->heard.resize(state_->last.size(), std::chrono::steady_clock::now());
  state_->open();
  state_->thread = std::thread([state = state_.get()] { state->serve(); });
}

RollServer::~RollServer() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->thread.join();
}

std::string RollServer::address() const {
  return std::to_string(state_->token) + " " + std::to_string(state_->port) + own_addresses();
}

std::vector<LastBeat> RollServer::last() const {
  std::lock_guard lock(state_->mutex);
  std::vector<LastBeat> last = state_->last;
  const auto now = std::chrono::steady_clock::now();
  for (std::size_t i = 1; i < last.size(); ++i)
    last[i].seconds_ago = std::chrono::duration<double>(now - state_->heard[i]).count();
  last[0].came = true;
  return last;
}

std::vector<std::string> who_holds_up(const std::vector<LastBeat>& last,
                                      const std::vector<std::string>& hosts, int rung) {
  constexpr double kSilent = 2;
  std::vector<std::string> absent, odd, waiting;  // those who only waited in vain are not to blame
  for (std::size_t i = 1; i < last.size(); ++i) {
    const LastBeat& beat = last[i];
    const std::string who = "rank " + std::to_string(i) + " on host " + hosts[i] + " ";
    if (beat.gone)
      absent.push_back(who + "has ended");
    else if (!beat.came)
      absent.push_back(who + "never reached rank 0 by TCP");
    else if (beat.seconds_ago > kSilent && !beat.left)
      absent.push_back(who + "has not answered for " + human_duration(beat.seconds_ago) +
                       ": stopped, swapping, or its network is gone");
    else if (beat.note.find("did not finish within") != std::string::npos)
      waiting.push_back(who + "says: " + beat.note);
    else if (!beat.note.empty())
      odd.push_back(who + "says: " + beat.note);
    else if (beat.rung < rung)
      odd.push_back(who + "answers, but is " + std::to_string(rung - beat.rung) + " rungs behind");
  }
  return !absent.empty() ? absent : !odd.empty() ? odd : waiting;
}

}  // namespace homolog::doctor
