#include "cluster/apps/doctor/ladder.h"

#include <unistd.h>

#include <cstdio>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/stop_signal.h"
#include "cluster/comm/backends.h"
#include "cluster/doctor/within.h"

namespace homolog::doctor {
namespace {

constexpr double kGrace = 5;  // s of rank 0's silence before the others leave
constexpr auto kHearing =
    std::chrono::milliseconds(2500);  // until all notes and silences are known

[[noreturn]] void leave(int code) {
  std::fflush(stdout);
  std::fflush(stderr);
  ::_exit(code);  // not exit(): a thread may hang, and MPI must not be waited for
}

}  // namespace

Ladder::Ladder(std::unique_ptr<comm::Communicator> world, const DoctorPlan& plan)
    : plan_(plan), world_(std::move(world)), rank_(world_->rank()) {
  if (rank_.size == 1) return;
  if (rank_.index == 0)
    server_ = std::make_unique<RollServer>(rank_.size, [this](int rank) { lost(rank); });
  const std::string address =
      world_->all_gather(server_ != nullptr ? server_->address() : "").front();
  if (rank_.index > 0) client_ = std::make_unique<RollClient>(address, rank_.index);
}

Ladder::~Ladder() = default;

std::vector<std::string> Ladder::hosts() const {
  std::vector<std::string> hosts;
  for (const RankFacts& f : facts_) hosts.push_back(f.host);
  hosts.resize(static_cast<std::size_t>(rank_.size), "(not known yet)");
  return hosts;
}

void Ladder::leave_if_asked() {
  if (stop_signals_received() == 0) return;
  if (rank_.size == 1) stop_if_asked("nothing was left behind", "run the same command again");
  client_.reset();  // goodbye: rank 0 need not tell of us
  // mpirun asks us to stop, too, when another rank has died: let lost() say so.
  if (server_ != nullptr) std::this_thread::sleep_for(std::chrono::milliseconds(300));
  leave(exit_code(Fault::Stopped));
}

void Ladder::keep(Rung rung) {
  const std::lock_guard lock(report_);
  if (rank_.index == 0 && !plan_.json) {
    std::fputs(text_of(rung).c_str(), stdout);
    std::fflush(stdout);
  }
  rungs_.push_back(std::move(rung));
}

void Ladder::print_end() const {
  if (rank_.index != 0) return;
  if (plan_.json)
    std::printf("%s\n", json_of(rungs_, hosts()).c_str());
  else
    std::printf("\n%s\n", summary_of(rungs_).c_str());
}

void Ladder::climb(const std::string& name, const std::function<Rung()>& rung) {
  leave_if_asked();
  {
    const std::lock_guard lock(report_);
    name_ = name;
    ++number_;
  }
  if (client_ != nullptr) client_->mark(number_);
  const Stopwatch watch;
  try {
    Rung done = rung();
    done.seconds = watch.seconds();
    keep(std::move(done));
  } catch (const Error& e) {
    if (e.fault() == Fault::Stopped) throw;
    break_off(e.summary());
  } catch (const std::exception& e) {
    break_off(e.what());
  }
}

void Ladder::break_off(const std::string& why) {
  leave_if_asked();
  if (client_ != nullptr) {
    client_->note(why);
    const Stopwatch watch;
    while (watch.seconds() < plan_.limit + kGrace && client_->silence() < kGrace)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (rank_.index == 1)  // one voice is enough
      std::fprintf(stderr, "homolog doctor: %s\n  rank 0 on host %s has not answered for %s\n",
                   why.c_str(), hosts()[0].c_str(), human_duration(client_->silence()).c_str());
    leave(exit_code(Fault::Environment));
  }
  if (server_ != nullptr) std::this_thread::sleep_for(kHearing);
  const std::lock_guard lock(report_);
  Rung rung{.name = name_, .measured = "broke off", .findings = {}, .remedy = {}};
  const std::string remedy =
      "see that rank's host: is the process stopped, the network up, the GPU there? The rungs "
      "after this one were not climbed";
  rung.find(Verdict::Failed, why, remedy);
  if (server_ != nullptr) {
    for (const std::string& text : who_holds_up(server_->last(), hosts(), number_))
      rung.find(Verdict::Failed, text, remedy);
  }
  keep(std::move(rung));
  print_end();
  leave(exit_code(Fault::Environment));
}

void Ladder::lost(int rank) {
  const std::lock_guard lock(report_);
  Rung rung{.name = name_, .measured = "broke off", .findings = {}, .remedy = {}};
  rung.find(Verdict::Failed,
            "rank " + std::to_string(rank) + " on host " + hosts()[static_cast<std::size_t>(rank)] +
                " has ended",
            "see the kernel log of that host (out of memory?) and what the rank said last");
  keep(std::move(rung));
  print_end();
  leave(exit_code(Fault::Environment));
}

std::vector<Measured> Ladder::gather(const Measured& own) {
  std::vector<Measured> all;
  for (const std::string& text : world_->all_gather(to_text(own)))
    all.push_back(measured_from_text(text));
  return all;
}

std::vector<Measured> Ladder::everywhere(std::function<Measured()> work) {
  Measured own;
  world_->barrier();  // all at once, as training would
  try {
    const auto done = within<Measured>(plan_.limit, std::move(work));
    left_behind_ = left_behind_ || !done;
    own = done ? *done : Measured{"not done within " + human_duration(plan_.limit), {}};
  } catch (const Error& e) {
    if (e.fault() == Fault::Stopped) {
      if (rank_.size == 1) throw;
      leave(exit_code(Fault::Stopped));
    }
    own.error = e.summary();
  } catch (const std::exception& e) {
    own.error = e.what();
  }
  return gather(own);
}

void Ladder::learn_facts(const RankFacts& own) {
  std::vector<RankFacts> facts;
  for (const std::string& text : world_->all_gather(to_text(own)))
    facts.push_back(facts_from_text(text));
  const std::lock_guard lock(report_);
  facts_ = std::move(facts);
}

void Ladder::move_to_gpus() {
  world_ = comm::make_nccl({.backend = "nccl", .timeout_s = plan_.collective_limit()},
                           std::move(world_));
}

std::optional<Skew> Ladder::skew() const {
  return client_ == nullptr ? std::nullopt : client_->skew();
}

int Ladder::finish() {
  world_->barrier();
  client_.reset();  // goodbye
  world_->barrier();
  server_.reset();
  print_end();
  const bool failed = worst(rungs_) == Verdict::Failed;
  world_->close();
  // One rank tells: mpirun ends the others at the first code that is not 0.
  const int code = failed && rank_.index == 0 ? exit_code(Fault::Environment) : 0;
  if (left_behind_) leave(code);
  return code;
}

}  // namespace homolog::doctor
