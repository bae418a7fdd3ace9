#include "launcher/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "base/clock.h"
#include "base/error.h"

namespace homolog::launcher {
namespace {

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> found;
  for (std::string& word : words) found.push_back(word.data());
  found.push_back(nullptr);
  return found;
}

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!added.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(name + "=" + value);
  return all;
}

// Between fork and exec: only async-signal-safe calls.
void become(const ChildPlan& plan, pid_t parent, char* const* words, char* const* environment,
            int report) {
  if (plan.own_group) ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, plan.death_signal);
  if (::getppid() != parent) ::_exit(125);  // the parent died before the line above
  const int null = ::open("/dev/null", O_RDONLY);
  ::dup2(null, STDIN_FILENO);
  if (plan.out >= 0) ::dup2(plan.out, STDOUT_FILENO);
  if (plan.err >= 0) ::dup2(plan.err, STDERR_FILENO);
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t mask;
  sigemptyset(&mask);
  if (plan.hold_usr1) sigaddset(&mask, SIGUSR1);
  sigprocmask(SIG_SETMASK, &mask, nullptr);
  ::execvpe(words[0], words, environment);
  const int error = errno;
  [[maybe_unused]] const auto written = ::write(report, &error, sizeof(error));
  ::_exit(127);
}

}  // namespace

Child::Child(const ChildPlan& plan) : own_group_(plan.own_group) {
  std::vector<std::string> words = plan.words, environment = merged_environment(plan.environment);
  const auto word_pointers = pointers(words), environment_pointers = pointers(environment);
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0)
    throw Error(Fault::Environment, "no pipe: " + std::string(std::strerror(errno)));
  sigset_t all, before;  // no handler of ours may run in the child
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(plan, parent, word_pointers.data(), environment_pointers.data(), report[1]);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ::close(report[1]);
  int error = pid_ < 0 ? errno : 0;
  if (pid_ > 0 && ::read(report[0], &error, sizeof(error)) > 0) ::waitpid(pid_, nullptr, 0);
  ::close(report[0]);
  if (error != 0) {
    throw Error(Fault::Environment,
                "cannot start " + plan.words.at(0) + ": " + std::strerror(error),
                "see that it is installed and in PATH");
  }
}

Child::~Child() {
  if (poll()) return;
  signal_group(SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::optional<int> Child::poll() noexcept {
  int status = 0;
  if (status_ || ::waitpid(pid_, &status, WNOHANG | WUNTRACED | WCONTINUED) != pid_) return status_;
  if (WIFSTOPPED(status) || WIFCONTINUED(status))
    stopped_ = WIFSTOPPED(status);
  else
    status_ = status;
  return status_;
}

std::optional<int> Child::wait_for(double seconds) noexcept {
  const Stopwatch watch;
  while (!poll() && watch.seconds() < seconds)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return status_;
}

void Child::signal(int number) noexcept {
  if (!poll()) ::kill(pid_, number);
}

void Child::signal_group(int number) noexcept {
  if (!poll()) ::kill(own_group_ ? -pid_ : pid_, number);
}

int shell_code(int status) noexcept {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace homolog::launcher
