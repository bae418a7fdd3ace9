#include "cluster/comm/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"

namespace homolog::comm {
namespace {

std::string error_text(int code) { return std::strerror(code); }

// Small messages leave at once; a host that vanished is noticed even where nothing is sent.
void prepare(int fd) {
  const int on = 1, idle = 20, between = 5, probes = 4;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof between);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

std::string numeric(const sockaddr* address, socklen_t length) {
  char text[NI_MAXHOST] = {};
  if (::getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST) != 0) return "";
  const std::string_view plain = text;
  return std::string(plain.starts_with("::ffff:") ? plain.substr(7) : plain);  // IPv4 in IPv6
}

bool wait_for(int fd, short events, const Deadline& deadline) {
  pollfd waiting{fd, events, 0};
  while (true) {
    const int ready = ::poll(&waiting, 1, deadline.poll_ms(1000));
    if (ready > 0) return true;
    if ((ready < 0 && errno != EINTR) || deadline.past()) return false;
  }
}

// 0, or the errno of a connection that did not come about.
int connect_address(const addrinfo& address, const Deadline& deadline, Socket& made) {
  Socket socket(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  prepare(socket.fd());
  if (::connect(socket.fd(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return errno;
    if (!wait_for(socket.fd(), POLLOUT, deadline)) return ETIMEDOUT;
    int code = 0;
    socklen_t length = sizeof code;
    ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &code, &length);
    if (code != 0) return code;
  }
  made = std::move(socket);
  return 0;
}

int bind_and_listen(const Socket& socket, const sockaddr* address, socklen_t length) {
  const int on = 1;
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(socket.fd(), address, length) != 0) return errno;
  return ::listen(socket.fd(), SOMAXCONN) == 0 ? 0 : errno;
}

Socket new_socket(int family) {
  return Socket(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

}  // namespace

Deadline::Deadline(double seconds_from_now)
    : at_(std::chrono::steady_clock::now() +
          std::chrono::duration_cast<std::chrono::steady_clock::duration>(
              std::chrono::duration<double>(std::min(seconds_from_now, 1e8)))) {}
bool Deadline::past() const { return std::chrono::steady_clock::now() >= at_; }
double Deadline::seconds_left() const {
  return std::chrono::duration<double>(at_ - std::chrono::steady_clock::now()).count();
}
int Deadline::poll_ms(int most) const {
  return static_cast<int>(std::clamp(seconds_left() * 1e3 + 1, 0.0, static_cast<double>(most)));
}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

void Socket::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

std::string Socket::peer_address() const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  return ::getpeername(fd_, plain, &length) == 0 ? numeric(plain, length) : "";
}

int Socket::own_port() const {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

std::optional<std::size_t> Socket::send_some(const void* data, std::size_t bytes) const {
  const ssize_t sent = ::send(fd_, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
  return std::nullopt;
}

std::optional<std::size_t> Socket::receive_some(void* data, std::size_t bytes) const {
  const ssize_t got = ::recv(fd_, data, bytes, MSG_DONTWAIT);
  if (got > 0) return static_cast<std::size_t>(got);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return 0;
  return std::nullopt;
}

bool Socket::send_all(std::string_view bytes, const Deadline& deadline) const {
  while (!bytes.empty()) {
    const auto sent = send_some(bytes.data(), bytes.size());
    if (!sent) return false;
    bytes.remove_prefix(*sent);
    if (*sent == 0 && !wait_for(fd_, POLLOUT, deadline)) return false;
  }
  return true;
}

std::optional<Socket> listen_at(const std::string& host, int port) {
  const bool here = host == "localhost" || is_loopback(host);
  const auto number = htons(static_cast<std::uint16_t>(port));
  int code = EAFNOSUPPORT;
  Socket socket;
  if (!here || host == "::1") {  // of IPv4 and IPv6 alike
    socket = new_socket(AF_INET6);
    const int off = 0;
    if (socket) ::setsockopt(socket.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = number;
    address.sin6_addr = here ? in6addr_loopback : in6addr_any;
    if (socket)
      code = bind_and_listen(socket, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  if (code == EAFNOSUPPORT || code == EADDRNOTAVAIL) {  // asked for, or no IPv6 here
    socket = new_socket(AF_INET);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = number;
    address.sin_addr.s_addr = htonl(here ? INADDR_LOOPBACK : INADDR_ANY);
    code = socket ? bind_and_listen(socket, reinterpret_cast<sockaddr*>(&address), sizeof address)
                  : errno;
  }
  if (code == EADDRINUSE) return std::nullopt;
  if (code != 0) {
    throw Error(Fault::Environment,
                "cannot listen at port " + std::to_string(port) + ": " + error_text(code),
                "choose another port in cluster.rendezvous");
  }
  return socket;
}

Socket accept_one(const Socket& listener) {
  Socket socket(::accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket) prepare(socket.fd());
  return socket;
}

Socket connect_to(const std::string& host, int port, const Deadline& deadline, std::string& why) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) {
    why = "the name " + host + " has no address: " + ::gai_strerror(code);
    return {};
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> freed(found, ::freeaddrinfo);
  Socket made;
  for (const addrinfo* a = found; a != nullptr && !made; a = a->ai_next) {
    if (const int failed = connect_address(*a, deadline, made); failed != 0)
      why = error_text(failed);
  }
  return made;
}

std::vector<std::string> own_addresses() {
  ifaddrs* found = nullptr;
  if (::getifaddrs(&found) != 0) return {};
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> freed(found, ::freeifaddrs);
  std::vector<std::string> addresses;
  for (const ifaddrs* a = found; a != nullptr; a = a->ifa_next) {
    if (a->ifa_addr == nullptr || (a->ifa_flags & IFF_UP) == 0 || (a->ifa_flags & IFF_LOOPBACK))
      continue;
    const bool v4 = a->ifa_addr->sa_family == AF_INET;
    if (!v4 && a->ifa_addr->sa_family != AF_INET6) continue;
    const std::string text = numeric(a->ifa_addr, v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    if (text.empty() || text.starts_with("fe80:")) continue;
    addresses.insert(v4 ? addresses.begin() : addresses.end(), text);  // IPv4 first
  }
  return addresses;
}

bool is_loopback(std::string_view address) {
  return address.starts_with("127.") || address == "::1";
}

}  // namespace homolog::comm
