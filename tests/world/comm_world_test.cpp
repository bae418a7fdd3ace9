// Claims about the communicator at 2 and 4 ranks. Inputs have sums that floats hold exactly.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "base/error.h"
#include "cluster/comm/communicator.h"
#include "cluster/comm/neighbours.h"
#include "cluster/comm/reduction.h"
#include "tests/world/world_main.h"

namespace {

using namespace homolog::comm;

int index() { return world->rank().index; }
int size() { return world->rank().size; }

TEST(CommWorld, EveryRankIsThereOnce) {
  const auto all = world->all_gather(std::to_string(index()));
  ASSERT_EQ(all.size(), static_cast<std::size_t>(size()));
  for (int i = 0; i < size(); ++i) EXPECT_EQ(all[i], std::to_string(i));
  EXPECT_EQ(world->rank().local_size, size());
  EXPECT_FALSE(world->rank().host.empty());
}

TEST(CommWorld, SumsStartedTogetherAllCompleteInOrder) {
  std::vector<std::vector<float>> buckets(7);
  std::vector<Ticket> tickets;
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    buckets[b].resize(1 + 30011 * b);
    for (std::size_t i = 0; i < buckets[b].size(); ++i) {
      buckets[b][i] = static_cast<float>((i % 1000 + b) * (index() + 1));
    }
    tickets.push_back(world->start_all_reduce({buckets[b].data(), buckets[b].size(), Scalar::F32},
                                              Reduce::Sum, "bucket"));
  }
  const float ranks = size() * (size() + 1) / 2.0F;
  for (std::size_t b = buckets.size(); b-- > 0;) {  // waiting for the last first is allowed
    world->wait(tickets[b]);
    for (std::size_t i = 0; i < buckets[b].size(); ++i)
      ASSERT_EQ(buckets[b][i], (i % 1000 + b) * ranks) << b << " " << i;
  }
  EXPECT_GT(world->seconds_in_collectives(), 0);
}

TEST(CommWorld, InexactSumsHaveTheSameBitsOnEveryRankAndEveryTime) {
  std::vector<float> first;
  for (int repeat = 0; repeat < 3; ++repeat) {
    std::vector<float> values(50000);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = std::sin(0.37F * i + 1.7F * index()) * 1e-3F;
    world->all_reduce({values.data(), values.size(), Scalar::F32}, Reduce::Sum, "sum");
    if (repeat == 0) first = values;
    EXPECT_EQ(std::memcmp(first.data(), values.data(), values.size() * sizeof(float)), 0);
    const auto all = world->all_gather(
        {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
    for (const auto& other : all) EXPECT_EQ(other, all[0]);
  }
}

TEST(CommWorld, MaxAndMinOfEachType) {
  double d[2] = {1.0 * index(), -1.0 * index()};
  world->all_reduce({d, 2, Scalar::F64}, Reduce::Max, "max");
  EXPECT_EQ(d[0], size() - 1);
  EXPECT_EQ(d[1], 0);
  std::int64_t n = (std::int64_t{1} << 40) + index();
  world->all_reduce({&n, 1, Scalar::I64}, Reduce::Min, "min");
  EXPECT_EQ(n, std::int64_t{1} << 40);
  std::uint8_t flag = index() == size() - 1 ? 1 : 0;
  world->all_reduce({&flag, 1, Scalar::U8}, Reduce::Max, "flag");
  EXPECT_EQ(flag, 1);
}

std::shared_ptr<Neighbours> neighbours_at(const std::string& host) {
  return Neighbours::meet(host, [](std::string_view text) { return world->all_gather(text); });
}

// Without it everything still works, only slower: no other test would tell.
TEST(CommWorld, RanksOfOneHostReadEachOthersMemory) {
  const auto neighbours = neighbours_at("the same");
  ASSERT_TRUE(neighbours);
  EXPECT_EQ(neighbours->size(), size());
  EXPECT_EQ(neighbours->index(), index());
  EXPECT_EQ(neighbours->groups(), 1);
}

TEST(CommWorld, SharesOfEveryHostMeetOnTheirWayAcross) {
  // Two hosts in name: even and odd ranks. What travels between them goes through the world.
  const auto neighbours = neighbours_at("host " + std::to_string(index() % 2));
  ASSERT_EQ(neighbours != nullptr, size() == 4);  // alone on its host nobody has neighbours
  if (!neighbours) return;
  EXPECT_EQ(neighbours->groups(), 2);
  std::vector<float> values(100003);
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>((i % 1000 + 1) * (index() + 1));
  const auto across = [&](Buffer share) {
    const auto all =
        world->all_gather({static_cast<const char*>(share.data), share.count * sizeof(float)});
    const auto other = static_cast<std::size_t>(index() ^ 1);  // same place on the other host
    combine(all[other].data(), share.data, share.count, Scalar::F32, Reduce::Sum);
  };
  neighbours->all_reduce({values.data(), values.size(), Scalar::F32}, Reduce::Sum, across, [] {});
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], (i % 1000 + 1) * 10) << i;
}

TEST(CommWorld, NeighboursWhoComeWithOtherBuffersAreToldSo) {
  const auto neighbours = neighbours_at("the same");
  ASSERT_TRUE(neighbours);
  std::vector<float> values(20000 + 16 * (index() == 0));
  const Buffer buffer{values.data(), values.size(), Scalar::F32};
  EXPECT_THROW(neighbours->all_reduce(buffer, Reduce::Sum, {}, [] {}), homolog::Error);
}

TEST(CommWorld, Bfloat16SumsAsNumbersNotAsBits) {
  std::uint16_t one_and_half[3] = {0x3fc0, 0x3fc0, 0xbfc0};  // 1.5, 1.5, -1.5
  world->all_reduce({one_and_half, 3, Scalar::BF16}, Reduce::Sum, "bf16");
  const std::uint16_t expected = size() == 2 ? 0x4040 : 0x40c0;  // 3, 6
  EXPECT_EQ(one_and_half[0], expected);
  EXPECT_EQ(one_and_half[2], expected | 0x8000);
}

// Counts below the number of ranks, around the size at which algorithms change, and uneven ones.
constexpr std::size_t kCounts[] = {1, 3, 2047, 2048, 2049, 8192, 8193, 100003, 1000001};

template <class T>
void expect_sums(Scalar type) {
  for (const std::size_t count : kCounts) {
    std::vector<T> values(count);
    for (std::size_t i = 0; i < count; ++i)
      values[i] = static_cast<T>((i % 13 + 1) * (index() + 1));
    std::vector<T> started = values;  // the way of gradients
    world->all_reduce({values.data(), count, type}, Reduce::Sum, "sum");
    world->wait(world->start_all_reduce({started.data(), count, type}, Reduce::Sum, "gradients"));
    const std::size_t ranks = static_cast<std::size_t>(size() * (size() + 1) / 2);
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_EQ(values[i], static_cast<T>((i % 13 + 1) * ranks)) << count << " " << i;
    ASSERT_EQ(started, values) << count;
  }
}

TEST(CommWorld, SumsOfAnyCountOfEachTypeAreWhole) {
  expect_sums<float>(Scalar::F32);
  expect_sums<double>(Scalar::F64);
  expect_sums<std::int64_t>(Scalar::I64);
  expect_sums<std::uint8_t>(Scalar::U8);
}

TEST(CommWorld, LongBfloat16SumsAreNumbersToo) {
  std::vector<std::uint16_t> ones(100001, 0x3f80);  // 1
  std::vector<std::uint16_t> larger(ones.size(), static_cast<std::uint16_t>(0x3f80 + index()));
  world->wait(
      world->start_all_reduce({larger.data(), larger.size(), Scalar::BF16}, Reduce::Max, "max"));
  for (const auto v : larger) ASSERT_EQ(v, 0x3f80 + size() - 1);
  world->all_reduce({ones.data(), ones.size(), Scalar::BF16}, Reduce::Sum, "bf16");
  for (const auto v : ones) ASSERT_EQ(v, size() == 2 ? 0x4000 : 0x4080);  // 2, 4
}

TEST(CommWorld, LongBroadcastsCarryTheValuesOfEveryRoot) {
  for (int root = 0; root < size(); ++root) {
    std::vector<float> values(1000003);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(i % 977 + index());
    world->broadcast({values.data(), values.size(), Scalar::F32}, root);
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], i % 977 + root) << i;
  }
}

TEST(CommWorld, BroadcastCarriesTheRootsValues) {
  std::vector<std::int64_t> values(1000, index());
  world->broadcast({values.data(), values.size(), Scalar::I64}, size() - 1);
  for (auto v : values) ASSERT_EQ(v, size() - 1);
}

TEST(CommWorld, GathersTextsOfDifferentLengthAndEmptyOnes) {
  const auto all = world->all_gather(std::string(static_cast<std::size_t>(index()) * 3, 'x'));
  for (int i = 0; i < size(); ++i) EXPECT_EQ(all[i].size(), 3u * i);
  for (const auto& text : world->all_gather("")) EXPECT_EQ(text, "");
}

// Were start_all_reduce() to block, rank 0 would never write the file for which the others wait.
TEST(CommWorld, StartingReturnsBeforeTheOthersHaveStartedTheirs) {
  namespace fs = std::filesystem;
  const fs::path flag =
      fs::temp_directory_path() / ("homolog-comm-world-" + std::to_string(::getppid()));
  float value = 1;
  if (index() != 0) {
    while (!fs::exists(flag)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const Ticket ticket = world->start_all_reduce({&value, 1, Scalar::F32}, Reduce::Sum, "overlap");
  if (index() == 0) std::ofstream(flag) << "started";
  world->wait(ticket);
  EXPECT_EQ(value, size());
  world->barrier();
  if (index() == 0) fs::remove(flag);
}

}  // namespace
