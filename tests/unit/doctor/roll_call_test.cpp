// Who answers, over real sockets.
#include "cluster/doctor/roll_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

#include "base/clock.h"

namespace homolog::doctor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <class Condition>
bool soon(const Condition& condition) {
  const Stopwatch watch;
  while (watch.seconds() < 10) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

const std::vector<std::string> kHosts = {"n0", "n1", "n2"};

TEST(RollCall, BeatsCarryRungAndNoteAndBringTheSkew) {
  RollServer server(2, nullptr);
  RollClient client(server.address(), 1);
  client.mark(4);
  client.note("no route");
  EXPECT_TRUE(soon([&] { return server.last()[1].rung == 4 && server.last()[1].came; }));
  EXPECT_TRUE(soon([&] { return server.last()[1].note == "no route"; }));
  EXPECT_TRUE(soon([&] { return client.skew() && client.skew()->answers > 5; }));
  EXPECT_LT(std::abs(client.skew()->seconds), 0.1);  // one machine, one clock
  EXPECT_LT(client.silence(), 1);
}

TEST(RollCall, AGoodbyeIsNoLoss) {
  std::atomic<int> lost{0};
  RollServer server(2, [&](int) { ++lost; });
  {
    RollClient client(server.address(), 1);
    EXPECT_TRUE(soon([&] { return server.last()[1].came; }));
  }
  EXPECT_TRUE(soon([&] { return server.last()[1].left; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(lost, 0);
  EXPECT_THAT(who_holds_up({{}, server.last()[1]}, {"n0", "n1"}, 0), IsEmpty());
}

TEST(RollCall, ADeadProcessIsKnownAtOnce) {
  std::atomic<int> lost{-1};
  RollServer server(3, [&](int rank) { lost = rank; });
  const pid_t child = ::fork();
  if (child == 0) {
    const RollClient client(server.address(), 2);
    std::this_thread::sleep_for(std::chrono::seconds(30));
    ::_exit(0);
  }
  EXPECT_TRUE(soon([&] { return server.last()[2].came; }));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(soon([&] { return lost == 2; }));
  EXPECT_TRUE(server.last()[2].gone);
}

TEST(RollCall, AStoppedProcessFallsSilent) {
  RollServer server(2, nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    const RollClient client(server.address(), 1);
    std::this_thread::sleep_for(std::chrono::seconds(30));
    ::_exit(0);
  }
  EXPECT_TRUE(soon([&] { return server.last()[1].came; }));
  ::kill(child, SIGSTOP);
  EXPECT_TRUE(soon([&] { return server.last()[1].seconds_ago > 2.1; }));
  EXPECT_THAT(who_holds_up(server.last(), {"n0", "n1"}, 0),
              ElementsAre(HasSubstr("rank 1 on host n1 has not answered for")));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST(RollCall, AnAddressThatLeadsElsewhereIsNotTakenForRankZero) {
  const RollServer other(2, nullptr), server(2, nullptr);
  std::string mixed = server.address();  // this token, the other's port
  const auto port_of = [](const std::string& text) {
    const auto first = text.find(' ');
    return text.substr(first, text.find(' ', first + 1) - first);
  };
  mixed.replace(mixed.find(' '), port_of(mixed).size(), port_of(other.address()));
  const RollClient client(mixed, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(client.connected());
  EXPECT_FALSE(other.last()[1].came);
}

LastBeat beat(double seconds_ago, int rung, const std::string& note = "") {
  LastBeat last;
  last.came = true;
  last.seconds_ago = seconds_ago;
  last.rung = rung;
  last.note = note;
  return last;
}

TEST(WhoHoldsUp, TheSilentOneIsToBlameNotThoseThatWaitedForIt) {
  const auto held = who_holds_up(
      {beat(0, 5), beat(0.1, 5, "'barrier' did not finish within 5 s"), beat(9, 5)}, kHosts, 5);
  EXPECT_THAT(held, ElementsAre(HasSubstr("rank 2 on host n2 has not answered for 9 s")));
}

TEST(WhoHoldsUp, AFaultOfItsOwnGoesBeforeWaiting) {
  const auto held = who_holds_up({beat(0, 5), beat(0.1, 5, "'NCCL' did not finish within 5 s"),
                                  beat(0.1, 5, "NCCL: no such device")},
                                 kHosts, 5);
  EXPECT_THAT(held, ElementsAre(HasSubstr("rank 2 on host n2 says: NCCL: no such device")));
}

TEST(WhoHoldsUp, OneThatAnswersFromAnEarlierRungIsBehind) {
  EXPECT_THAT(who_holds_up({beat(0, 5), beat(0.1, 5), beat(0.1, 3)}, kHosts, 5),
              ElementsAre(HasSubstr("rank 2 on host n2 answers, but is 2 rungs behind")));
}

}  // namespace
}  // namespace homolog::doctor
