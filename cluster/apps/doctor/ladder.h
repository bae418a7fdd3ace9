// Climbs the rungs one after the other, on all ranks alike, and reports on rank 0. A rung that
// hangs ends by its time limit, and the roll call says which rank held it up.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cluster/comm/communicator.h"
#include "cluster/comm/measure.h"
#include "cluster/doctor/rank_facts.h"
#include "cluster/doctor/roll_call.h"
#include "cluster/doctor/rung.h"

namespace homolog::doctor {

struct DoctorPlan {
  std::filesystem::path store, runs;
  bool quick = false, json = false;
  double limit = 60;  // s, for what a rank does by itself in a rung

  // Collectives begin when the quickest rank is done, and must not end before the slowest is.
  double collective_limit() const noexcept { return limit + 5; }
};

class Ladder {
 public:
  Ladder(std::unique_ptr<comm::Communicator> world, const DoctorPlan& plan);
  ~Ladder();

  // One rung. A fault in it that is not one rank's own (a collective that fails or hangs) ends the
  // program here, with the report so far and exit code 4.
  void climb(const std::string& name, const std::function<Rung()>& rung);
  // Prints the verdict and leaves the world. The process's exit code.
  int finish();

  // For rungs.
  const DoctorPlan& plan() const noexcept { return plan_; }
  const std::vector<RankFacts>& facts() const noexcept { return facts_; }
  const topology::Rank& rank() const noexcept { return rank_; }
  comm::Communicator& world() noexcept { return *world_; }
  // Every rank's result, or why it has none: `work` runs on a thread of its own, at most the time
  // limit, so it must own what it touches. Collective.
  std::vector<Measured> everywhere(std::function<Measured()> work);
  std::vector<Measured> gather(const Measured& own);  // collective
  void learn_facts(const RankFacts& own);             // collective
  void move_to_gpus();                                // NCCL takes over the world. Collective.
  std::optional<Skew> skew() const;
  bool roll_call_answers() const { return client_ != nullptr && client_->connected(); }

 private:
  void keep(Rung rung);  // and prints it
  void leave_if_asked();
  void lost(int rank);  // on the roll call's thread
  [[noreturn]] void break_off(const std::string& why);
  void print_end() const;
  std::vector<std::string> hosts() const;

  DoctorPlan plan_;
  std::unique_ptr<comm::Communicator> world_;
  topology::Rank rank_;
  std::unique_ptr<RollServer> server_;  // on rank 0 of several
  std::unique_ptr<RollClient> client_;  // on the others
  std::vector<RankFacts> facts_;
  std::recursive_mutex report_;  // rungs_ and the output: lost() may come at any time
  std::vector<Rung> rungs_;
  std::string name_ = "start";
  int number_ = 0;
  bool left_behind_ = false;  // a thread hangs in a disk or a driver
};

}  // namespace homolog::doctor
