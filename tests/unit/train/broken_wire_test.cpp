// Claims about a step whose reduction broke behind the host's back, with a stand-in for NCCL after
// its watchdog's abort: the wait returns, the gradients are finite and unreduced, the host wire is
// well.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "toy.h"

namespace homolog::train {
namespace {

class BrokenWire final : public comm::Communicator {
 public:
  explicit BrokenWire(int breaks_at_step) : steps_left_(breaks_at_step) { rank_.size = 2; }
  const topology::Rank& rank() const noexcept override { return rank_; }
  const char* backend() const noexcept override { return "broken"; }
  comm::Ticket start_all_reduce(comm::Buffer, comm::Reduce, std::string_view purpose,
                                void*) override {
    if (purpose == "gradient bucket 0" && steps_left_-- == 0)
      failure_ = "'gradient bucket 0' did not finish";
    return 1;
  }
  void wait(comm::Ticket, void*) override {}  // as a stream's: it only queues
  void broadcast(comm::Buffer, int) override {}
  std::vector<std::string> all_gather(std::string_view text) override {
    return {std::string(text), std::string(text)};
  }
  void barrier() override {}
  std::string failure() const override { return failure_; }
  double seconds_in_collectives() const noexcept override { return 0; }
  [[noreturn]] void abort(int exit_code) noexcept override { ::_exit(exit_code); }

 protected:
  void all_reduce_host(comm::Buffer, comm::Reduce, std::string_view) override {}

 private:
  topology::Rank rank_;
  int steps_left_;
  std::string failure_;
};

TEST(BrokenWire, GradientsThatWereNeverReducedAreNotApplied) {
  const toy::Scratch scratch("wire");
  auto plan = toy::plan_for(scratch.path);
  plan.device = "cpu";
  plan.schedule.warmup_epochs = 0;
  plan.checkpoint.every_steps = 1;
  plan.checkpoint.synchronous = true;
  BrokenWire wire(2);
  try {
    toy::run(plan, toy::parts_for(), &wire);
    FAIL() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Environment);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("'gradient bucket 0' did not finish"));
  }
  EXPECT_EQ(list_checkpoints(scratch.path / "checkpoints").back().filename(), "step-00000002");
}

}  // namespace
}  // namespace homolog::train
