#include "sharding/import/probe.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>

#include "base/error.h"
#include "sharding/import/parallel_for.h"

namespace homolog::import {
namespace {

struct Range {
  std::size_t first, last;  // half open
};

[[noreturn]] void run_child(const Range& range, const std::function<void(std::size_t)>& body,
                            unsigned seconds) {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  ::signal(SIGABRT, SIG_DFL);
  for (const int number : {SIGALRM, SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_DFL);
  const int nowhere = ::open("/dev/null", O_WRONLY);
  ::dup2(nowhere, STDOUT_FILENO);
  ::dup2(nowhere, STDERR_FILENO);
  for (std::size_t i = range.first; i < range.last; ++i) {
    ::alarm(seconds);
    try {
      body(i);
    } catch (...) {  // an error is an answer; the caller will meet it again
    }
  }
  ::_exit(0);
}

bool ended_well(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

std::vector<char> survivors(std::size_t count, int jobs,
                            const std::function<void(std::size_t)>& body, unsigned seconds) {
  constexpr std::size_t kPerChild = 128;
  std::vector<char> alive(count, 1);
  std::deque<Range> waiting;
  std::deque<std::pair<pid_t, Range>> running;
  for (std::size_t i = 0; i < count; i += kPerChild) {
    waiting.push_back({i, std::min(count, i + kPerChild)});
  }
  while (!waiting.empty() || !running.empty()) {
    if (stop_signals_received() > 0) {
      for (const auto& [child, range] : running) ::kill(child, SIGKILL);
      for (const auto& [child, range] : running) ended_well(child);
      stop_if_asked();
    }
    if (!waiting.empty() && running.size() < static_cast<std::size_t>(std::max(1, jobs))) {
      const Range range = waiting.front();
      waiting.pop_front();
      const pid_t child = ::fork();
      if (child < 0) throw Error(Fault::Environment, "cannot start a process to try the scans in");
      if (child == 0) run_child(range, body, seconds);
      running.emplace_back(child, range);
      continue;
    }
    const auto [child, range] = running.front();
    running.pop_front();
    if (ended_well(child) || stop_signals_received() > 0) continue;
    if (range.last - range.first == 1) {
      alive[range.first] = 0;
    } else {  // one of them is to blame: halve until it stands alone
      const std::size_t middle = range.first + (range.last - range.first) / 2;
      waiting.push_back({range.first, middle});
      waiting.push_back({middle, range.last});
    }
  }
  return alive;
}

}  // namespace homolog::import
