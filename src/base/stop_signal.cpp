#include "base/stop_signal.h"

#include <csignal>

#include <initializer_list>

namespace homolog {
namespace {
volatile std::sig_atomic_t received = 0;
volatile std::sig_atomic_t last = 0;

void note(int signal_number) {
  last = signal_number;
  received = received + 1;
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
void raise_stop_flag(int signal_number) noexcept { note(signal_number); }

}  // namespace homolog
