#include "sharding/apps/shard/siblings.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/log.h"

namespace homolog {
namespace {

std::string text(const shard::Part& part) {
  return std::to_string(part.index) + "/" + std::to_string(part.count);
}

// This environment, but for OMP_NUM_THREADS.
std::vector<std::string> environment_with(int threads) {
  std::vector<std::string> all{"OMP_NUM_THREADS=" + std::to_string(threads)};
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (std::strncmp(*entry, "OMP_NUM_THREADS=", 16) != 0) all.emplace_back(*entry);
  return all;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

}  // namespace

std::vector<std::string> shared_arguments(int argc, char** argv) {
  std::vector<std::string> kept;
  for (int i = 0; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--workers" || word == "--part")
      ++i;
    else if (!word.starts_with("--workers=") && !word.starts_with("--part="))
      kept.push_back(word);
  }
  return kept;
}

Siblings::Siblings(const std::vector<std::string>& arguments, const shard::Part& own,
                   std::size_t workers, int threads) {
  for (std::size_t local = 1; local < workers; ++local)
    start(arguments, shard::part_within(own, local, workers), threads);
}

// Between fork and exec nothing but system calls.
void Siblings::start(const std::vector<std::string>& arguments, const shard::Part& part,
                     int threads) {
  std::vector<std::string> words = arguments, environment = environment_with(threads);
  words.push_back("--part=" + text(part));
  const auto argv = pointers(words), envp = pointers(environment);
  const pid_t parent = ::getpid(), pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() == parent) ::execve("/proc/self/exe", argv.data(), envp.data());
    ::_exit(exit_code(Fault::Environment));
  }
  if (pid < 0) {
    throw Error(Fault::Environment, std::string("cannot start a worker: ") + std::strerror(errno),
                "choose fewer --workers");
  }
  Sibling& sibling = siblings_.emplace_back();
  sibling.part = part;
  sibling.pid = pid;
  sibling.waiter = std::jthread([&sibling] {
    while (::waitpid(sibling.pid, &sibling.status, 0) < 0 && errno == EINTR) {
    }
    sibling.running = false;
  });
}

Siblings::~Siblings() {
  for (Sibling& sibling : siblings_)
    if (sibling.running) ::kill(sibling.pid, SIGTERM);
}

void Siblings::join() {
  for (Sibling& sibling : siblings_) {
    if (sibling.waiter.joinable()) sibling.waiter.join();
    if (sibling.status != 0) {
      log::warn("a worker ended early; the others did its work",
                {{"part", text(sibling.part)},
                 {"code", WIFEXITED(sibling.status) ? WEXITSTATUS(sibling.status) : -1},
                 {"signal", WIFSIGNALED(sibling.status) ? WTERMSIG(sibling.status) : 0}});
    }
  }
}

}  // namespace homolog
