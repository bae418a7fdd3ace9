// The keeper: a small process between mpirun (or srun) and each worker. It passes the worker's
// lines on with the rank in front, and records how the worker ended (exit_record.h).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace homolog::launcher {

// Runs `words` as this rank's worker until it ends. Returns the exit code for mpirun or srun: the
// worker's, 128 + signal, 127 when it could not be started; but 0 for 75, because both take any
// other code of the first rank to end as a reason to kill the rest.
//
// Signals reach keeper and worker alike (mpirun, srun and the launcher signal whole groups), so
// none is passed on. After SIGTERM the worker has `grace` seconds (half a second under mpirun,
// which sends SIGKILL after one; 20 s under srun), then SIGKILL. A keeper whose parent dies kills
// it too.
int keep_worker(const std::filesystem::path& run, const std::vector<std::string>& words);

}  // namespace homolog::launcher
