// TCP sockets that close themselves and never block for longer than asked.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace homolog::comm {

class Deadline {
 public:
  explicit Deadline(double seconds_from_now);
  bool past() const;
  double seconds_left() const;
  int poll_ms(int most = 100) const;  // for ::poll, so that other things are looked at in between

 private:
  std::chrono::steady_clock::time_point at_;
};

class Socket {  // one file descriptor, non-blocking; moves, does not copy
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket() { close(); }
  explicit operator bool() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  void close();

  std::string peer_address() const;  // "10.0.0.7", "fd00::7"; "" when it is gone
  int own_port() const;

  // As many bytes as go at once: 0 when none do now, nullopt when the connection is closed or
  // broken.
  std::optional<std::size_t> send_some(const void* data, std::size_t bytes) const;
  std::optional<std::size_t> receive_some(void* data, std::size_t bytes) const;
  // All of them. False past the deadline, or when the connection is closed or broken.
  bool send_all(std::string_view bytes, const Deadline& deadline) const;

 private:
  int fd_ = -1;
};

// A listening socket. `host`: "127.0.0.1", "localhost" or "::1" listens on this machine alone,
// anything else on all its addresses. `port` 0: any that is free. nullopt: the port is in use.
// Throws Fault::Environment.
std::optional<Socket> listen_at(const std::string& host, int port);

Socket accept_one(const Socket& listener);  // an empty one when nobody is there now

// One try, over all addresses of the name. An empty one when it fails; `why` says how.
Socket connect_to(const std::string& host, int port, const Deadline& deadline, std::string& why);

// Addresses of this machine at which others may reach it, without loopback.
std::vector<std::string> own_addresses();

bool is_loopback(std::string_view address);  // 127.0.0.0/8 or ::1

}  // namespace homolog::comm
