// One child process with an end that cannot be forgotten: it dies with its parent, and the
// destructor kills what is left of its process group.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace homolog::launcher {

struct ChildPlan {
  std::vector<std::string> words;                       // program (looked up in PATH) and arguments
  std::map<std::string, std::string> environment = {};  // added to ours
  int death_signal = 15;   // it receives this one when we die, however we die
  bool own_group = true;   // so that Ctrl-C reaches us alone, who pass it on in our way
  int out = -1, err = -1;  // file descriptors for stdout and stderr; -1: ours
  bool hold_usr1 = false;  // SIGUSR1 waits until the program listens, instead of killing it
};

class Child {
 public:
  // Throws Fault::Environment naming the program when it cannot be started.
  explicit Child(const ChildPlan& plan);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const noexcept { return pid_; }
  // The status of waitpid() once it has ended; never blocks.
  std::optional<int> poll() noexcept;
  // Held by SIGSTOP or a debugger, as of the last poll().
  bool stopped() const noexcept { return stopped_; }
  std::optional<int> wait_for(double seconds) noexcept;
  void signal(int number) noexcept;        // the process
  void signal_group(int number) noexcept;  // and its descendants that stayed in its group

 private:
  pid_t pid_ = -1;
  bool own_group_, stopped_ = false;
  std::optional<int> status_;
};

// Exit code of a waitpid() status as shells count: 128 + signal.
int shell_code(int status) noexcept;

}  // namespace homolog::launcher
