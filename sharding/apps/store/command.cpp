#include "sharding/apps/store/command.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/stop_signal.h"

namespace homolog::store_app {

std::filesystem::path the_store(const std::string& program, const std::vector<std::string>& words) {
  if (words.size() != 1)
    throw Error(Fault::Usage,
                words.empty() ? "no store is named"
                              : std::to_string(words.size()) + " words where one store belongs",
                program + " STORE; see " + program + " --help");
  const std::filesystem::path folder = words.front();
  std::error_code code;
  if (!std::filesystem::exists(folder, code))
    throw Error(Fault::Data, "there is no folder " + folder.string(),
                "give the folder that homolog shard wrote with --out");
  if (!std::filesystem::is_directory(folder, code))
    throw Error(Fault::Data, folder.string() + " is a file, and a store is a folder",
                "give the folder that homolog shard wrote with --out");
  return folder;
}

void listen_while_reading() {
  listen_for_stop_signals();
  std::signal(SIGPIPE, SIG_DFL);  // a reader that has seen enough (| head) ends the command
}

void require_printed() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  const std::string why = errno == 0 ? "" : std::string(": ") + std::strerror(errno);
  throw Error(Fault::Environment, "cannot write the output" + why,
              "free space where it goes, or send it elsewhere");
}

}  // namespace homolog::store_app
