// A signal only sets a flag (CERT SIG30-C); the loop reads it and stops at a safe point.
#pragma once

namespace homolog {

// Listen to SIGINT, SIGTERM, SIGUSR1, SIGUSR2 and SIGHUP. SIGPIPE is ignored.
void listen_for_stop_signals();

// 0 until one arrived, then how many have. Two mean: leave at once, skip the save.
int stop_signals_received() noexcept;
int last_stop_signal() noexcept;  // its number, 0 when none

// For tests, and for a stop decided inside the process (time limit near).
void raise_stop_flag(int signal_number) noexcept;

}  // namespace homolog
