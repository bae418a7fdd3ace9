// A signal only sets a flag (CERT SIG30-C); the loop reads it and stops at a safe point.
#pragma once

#include <string>

namespace homolog {

// Listen to SIGINT, SIGTERM, SIGUSR1, SIGUSR2 and SIGHUP. SIGPIPE is ignored.
void listen_for_stop_signals();

// How often a stop was asked for; two mean: leave at once, skip the save. What comes within a
// second of the first signal repeats it: `timeout`, a terminal or a script may deliver one request
// twice.
int stop_signals_received() noexcept;
int last_stop_signal() noexcept;  // its number, 0 when none

// Throws Fault::Stopped, "stopped on request; WHAT", once a stop was asked for.
void stop_if_asked(const std::string& what, const std::string& remedy);

// For tests, and for a stop decided inside the process (time limit near).
void raise_stop_flag(int signal_number) noexcept;

}  // namespace homolog
