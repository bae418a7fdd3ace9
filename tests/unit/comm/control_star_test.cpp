// Claims about control connections that no world shows for certain, because they hang on timing.
#include "cluster/comm/control_star.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

namespace homolog::comm {
namespace {

struct Pair {
  Socket first, second;
};

Pair connected() {
  const auto listener = listen_at("127.0.0.1", 0);
  std::string why;
  Socket to = connect_to("127.0.0.1", listener->own_port(), Deadline(5), why);
  Socket from;
  while (!from) from = accept_one(*listener);
  return {std::move(from), std::move(to)};
}

ControlStar star(int rank, Socket link) {
  std::vector<Member> members(2);
  members[1].rank = 1;
  std::vector<Socket> links;
  if (rank == 0) links.emplace_back();
  links.push_back(std::move(link));
  return {rank, members, std::move(links), std::make_shared<std::atomic<bool>>(false)};
}

std::string round_of(ControlStar& star) {
  star.enter("leaving");
  return star.round(
      1, "", [](std::vector<std::string>&) { return "good bye"; }, Deadline(5));
}

TEST(ControlStar, AnAnswerCountsThoughRankZeroLeftBeforeItWasRead) {
  Pair pair = connected();
  // Rank 1 wakes up when the connection ends, not when the answer comes: as on a busy core.
  const int lots = 1 << 16;
  ASSERT_EQ(::setsockopt(pair.second.fd(), SOL_SOCKET, SO_RCVLOWAT, &lots, sizeof lots), 0);
  ControlStar first = star(0, std::move(pair.first)), second = star(1, std::move(pair.second));
  std::thread leaves([&] {
    round_of(first);
    first.close();
  });
  std::string told;
  try {
    told = round_of(second);
  } catch (const Lost& lost) {
    told = "Lost: " + lost.why;
  }
  leaves.join();
  EXPECT_EQ(told, "good bye");
}

TEST(ControlStar, WhoLeavesWithoutAnAnswerIsGone) {
  Pair pair = connected();
  ControlStar second = star(1, std::move(pair.second));
  pair.first.close();
  EXPECT_THROW(round_of(second), Lost);
}

}  // namespace
}  // namespace homolog::comm
