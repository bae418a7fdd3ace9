#include "launcher/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <initializer_list>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/own_host.h"
#include "cluster/topology/environment.h"
#include "launcher/exit_record.h"
#include "launcher/process.h"

namespace homolog::launcher {
namespace {

volatile std::sig_atomic_t term_received = 0;

void note(int number) {
  if (number == SIGTERM) term_received = 1;
}

// Handlers, not SIG_IGN: an ignored signal would stay ignored in the worker.
void survive_signals() {
  struct sigaction action {};
  action.sa_handler = note;
  sigemptyset(&action.sa_mask);
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2})
    sigaction(number, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

// One of the worker's streams, cut into lines.
class Stream {
 public:
  Stream(std::string prefix, int target) : prefix_(std::move(prefix)), target_(target) {
    if (::pipe2(ends_, O_CLOEXEC) != 0)
      throw Error(Fault::Environment, "no pipe for the worker's output");
  }
  ~Stream() {
    close_writer();
    ::close(ends_[0]);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void close_writer() {
    if (ends_[1] >= 0) ::close(ends_[1]);
    ends_[1] = -1;
  }
  bool open() const { return open_; }
  const std::string& last_line() const { return last_line_; }

  void read_some() {
    char bytes[8192];
    const ssize_t got = ::read(ends_[0], bytes, sizeof(bytes));
    if (got < 0 && errno == EINTR) return;
    if (got <= 0) {
      open_ = false;
      flush();
      return;
    }
    for (ssize_t i = 0; i < got; ++i) {
      if (bytes[i] == '\n' || bytes[i] == '\r' || line_.size() > 65536)
        flush();
      else
        line_ += bytes[i];
    }
  }

 private:
  void flush() {
    if (line_.empty()) return;
    if (!line_.starts_with("  fix: ")) last_line_ = line_;  // the line before says what it mends
    const std::string text = prefix_ + line_ + "\n";        // one write, so that ranks do not mix
    [[maybe_unused]] const auto written = ::write(target_, text.data(), text.size());
    line_.clear();
  }

  std::string prefix_, line_, last_line_;
  int target_;
  int ends_[2] = {-1, -1};
  bool open_ = true;
};

void pump(Stream& out, Stream& err, int milliseconds) {
  pollfd waiting[2] = {{out.open() ? out.reader() : -1, POLLIN, 0},
                       {err.open() ? err.reader() : -1, POLLIN, 0}};
  if (::poll(waiting, 2, milliseconds) <= 0) return;
  if (waiting[0].revents != 0) out.read_some();
  if (waiting[1].revents != 0) err.read_some();
}

// Until the worker has ended. Returns its waitpid() status.
int follow(Child& worker, Stream& out, Stream& err, double grace, const std::filesystem::path& run,
           ExitRecord& record) {
  const pid_t parent = ::getppid();
  std::optional<Stopwatch> since_term, since_continued;
  while (true) {
    pump(out, err, 100);
    if (const auto status = worker.poll()) return *status;
    // mpirun lets a stopped process continue a moment before it ends it; that must not wipe the
    // trace.
    if (worker.stopped() || !since_continued) since_continued.emplace();
    if (worker.stopped() != record.stopped &&
        (worker.stopped() || since_continued->seconds() > 3)) {
      record.stopped = worker.stopped();
      write_exit_record(run, record);
    }
    if (term_received != 0 && !since_term) since_term.emplace();
    const bool orphaned = ::getppid() != parent;
    if (orphaned || (since_term && since_term->seconds() > grace)) worker.signal(SIGKILL);
  }
}

}  // namespace

int keep_worker(const std::filesystem::path& run, const std::vector<std::string>& words) {
  survive_signals();
  const topology::Place place = topology::read_place(topology::process_environment());
  const std::string prefix = place.size > 1 ? "[rank " + std::to_string(place.index) + "] " : "";
  ExitRecord record{.rank = place.index, .host = own_host()};
  Stream out(prefix, STDOUT_FILENO), err(prefix, STDERR_FILENO);
  int status = 0;
  try {
    Child worker({.words = words,
                  .environment = {{"HOMOLOG_LAUNCHED", "1"}},
                  .death_signal = SIGKILL,
                  .own_group = false,
                  .out = out.writer(),
                  .err = err.writer(),
                  .hold_usr1 = true});
    out.close_writer();
    err.close_writer();
    record.pid = worker.pid();
    write_exit_record(run, record);
    status = follow(worker, out, err, place.starter == topology::Starter::Mpirun ? 0.5 : 20, run,
                    record);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s%s\n", prefix.c_str(), e.what());
    record.last_line = e.summary();
    status = 127 << 8;
  }
  const Stopwatch rest;  // what it wrote last; a descendant may hold the pipe open
  while ((out.open() || err.open()) && rest.seconds() < 0.3) pump(out, err, 50);
  record.ended = true;
  record.ended_unix = unix_seconds() - rest.seconds();
  record.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  record.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  record.told_to = term_received != 0;
  if (!err.last_line().empty()) record.last_line = err.last_line();
  write_exit_record(run, record);
  // mpirun kills the others as soon as this returns; let a rank that found the same fault tell it.
  if (record.failed() && record.signal == 0 && !record.told_to) ::sleep(1);
  return record.code == exit_code(Fault::Stopped) ? 0 : shell_code(status);
}

}  // namespace homolog::launcher
