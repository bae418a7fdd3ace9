#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "cluster/doctor/roll_call.h"
#include "cluster/doctor/roll_wire.h"

namespace homolog::doctor {
namespace {

constexpr int kQuickBeats = 20;  // at first, for the time skew
constexpr auto kQuick = std::chrono::milliseconds(20), kSlow = std::chrono::milliseconds(200);
constexpr int kConnectMs = 1000, kAnswerMs = 1000;

// -1: nothing there within a second.
int connect_to(const std::string& name, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, name.c_str(), &address.sin_addr) != 1) return -1;
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return -1;
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 &&
      errno == EINPROGRESS) {
    pollfd watched{descriptor, POLLOUT, 0};
    ::poll(&watched, 1, kConnectMs);
  }
  int error = 0;
  socklen_t size = sizeof error;
  sockaddr_in peer{};
  socklen_t peer_size = sizeof peer;
  ::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == 0 && ::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0)
    return descriptor;
  ::close(descriptor);
  return -1;
}

bool receive(int descriptor, Answer& answer) {
  for (std::size_t filled = 0; filled < sizeof answer;) {
    pollfd watched{descriptor, POLLIN, 0};
    if (::poll(&watched, 1, kAnswerMs) <= 0) return false;
    const ssize_t n = ::recv(descriptor, reinterpret_cast<char*>(&answer) + filled,
                             sizeof answer - filled, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (n > 0) filled += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

struct RollClient::State {
  std::string address;
  int rank = 0, descriptor = -1;
  mutable std::mutex mutex;
  std::condition_variable changed;
  bool stop = false;
  int rung = 0;
  std::string text;
  Skew best;
  bool reached = false;
  std::chrono::steady_clock::time_point heard = std::chrono::steady_clock::now();
  std::thread thread;

  bool pause(std::chrono::milliseconds time) {  // false: stop
    std::unique_lock lock(mutex);
    changed.wait_for(lock, time, [this] { return stop; });
    return !stop;
  }

  bool beat(std::uint64_t token, bool goodbye) {
    Beat out;
    out.token = token;
    out.rank = rank;
    out.goodbye = goodbye ? 1 : 0;
    {
      std::lock_guard lock(mutex);
      out.rung = rung;
      std::copy_n(text.begin(), std::min(text.size(), sizeof out.note - 1), out.note);
    }
    out.sent = unix_seconds();
    if (::send(descriptor, &out, sizeof out, MSG_NOSIGNAL) != sizeof out) return false;
    Answer answer;
    if (goodbye) return true;
    if (!receive(descriptor, answer) || answer.token != token) return false;
    const double now = unix_seconds(), trip = now - answer.sent;
    std::lock_guard lock(mutex);
    reached = true;
    heard = std::chrono::steady_clock::now();
    if (best.answers++ == 0 || trip / 2 < best.error) {
      best.seconds = (answer.sent + now) / 2 - answer.clock;
      best.error = trip / 2;
    }
    return true;
  }

  bool join(std::uint64_t token, int port, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      descriptor = connect_to(name, port);
      if (descriptor < 0) continue;
      if (beat(token, false)) return true;
      ::close(descriptor);
      descriptor = -1;
    }
    return false;
  }

  void work() {
    std::istringstream in(address);
    std::uint64_t token = 0;
    int port = 0;
    in >> token >> port;
    std::vector<std::string> names;
    for (std::string name; in >> name;) names.push_back(name);
    while (!join(token, port, names)) {
      if (!pause(kSlow)) return;
    }
    // A late answer (rank 0 busy, or stopped) would be taken for the next one's: a beat that
    // failed ends the connection's use for good, and rank 0 hears no more.
    for (int n = 0; pause(n < kQuickBeats ? kQuick : kSlow); ++n) {
      if (!beat(token, false) && !wait_for_answer()) return;
    }
    beat(token, true);
    ::close(descriptor);
  }

  // Rank 0 did not answer in time: until it does, or has ended.
  bool wait_for_answer() {
    while (pause(kSlow)) {
      Answer late;
      pollfd watched{descriptor, POLLIN, 0};
      if (::poll(&watched, 1, 0) <= 0) continue;
      if (!receive(descriptor, late)) break;
      std::lock_guard lock(mutex);
      heard = std::chrono::steady_clock::now();
      return true;
    }
    ::close(descriptor);
    return false;
  }
};

RollClient::RollClient(const std::string& address, int rank) : state_(std::make_shared<State>()) {
  state_->address = address;
  state_->rank = rank;
  state_->thread = std::thread([state = state_.get()] { state->work(); });
}

RollClient::~RollClient() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
    state_->changed.notify_all();
  }
  state_->thread.join();
}

void RollClient::mark(int rung) {
  std::lock_guard lock(state_->mutex);
  state_->rung = rung;
}

void RollClient::note(const std::string& text) {
  std::lock_guard lock(state_->mutex);
  state_->text = text;
}

bool RollClient::connected() const {
  std::lock_guard lock(state_->mutex);
  return state_->reached;
}

double RollClient::silence() const {
  std::lock_guard lock(state_->mutex);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - state_->heard).count();
}

std::optional<Skew> RollClient::skew() const {
  std::lock_guard lock(state_->mutex);
  if (!state_->reached) return std::nullopt;
  return state_->best;
}

}  // namespace homolog::doctor
