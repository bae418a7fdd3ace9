#include "base/stop_signal.h"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <initializer_list>

#include "base/error.h"

namespace homolog {
namespace {
// Handlers of several threads may run at once; lock-free atomics and clock_gettime may be used
// there.
std::atomic<int> received{0}, last{0};
std::atomic<std::int64_t> first_ns{0};
constexpr std::int64_t kSameRequestNs = 1'000'000'000;

void note(int signal_number) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t now_ns = std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  last = signal_number;
  std::int64_t none = 0;
  const bool first = first_ns.compare_exchange_strong(none, now_ns);
  if (first || now_ns - first_ns >= kSameRequestNs) ++received;
}
}  // namespace

void listen_for_stop_signals() {
  struct sigaction action {};
  action.sa_handler = note;
  sigemptyset(&action.sa_mask);
  for (int signal_number : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGHUP}) {
    sigaction(signal_number, &action, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);
  // The launcher starts workers with SIGUSR1 held back, so that an early one is not lost or fatal.
  sigset_t held;
  sigemptyset(&held);
  sigaddset(&held, SIGUSR1);
  pthread_sigmask(SIG_UNBLOCK, &held, nullptr);
}

int stop_signals_received() noexcept { return received; }
int last_stop_signal() noexcept { return last; }

void stop_if_asked(const std::string& what, const std::string& remedy) {
  if (stop_signals_received() == 0) return;
  throw Error(Fault::Stopped, "stopped on request; " + what, remedy);
}

void raise_stop_flag(int signal_number) noexcept { note(signal_number); }

}  // namespace homolog
