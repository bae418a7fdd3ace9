// Hashes against published vectors; randomness as a pure function of its counters.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "base/counter_rng.h"
#include "base/error.h"
#include "base/hash.h"

namespace homolog {
namespace {

TEST(Hash, Xxh3MatchesThePublishedVectors) {
  EXPECT_EQ(hex64(xxh3_64("")), "2d06800538d394c2");
  EXPECT_EQ(hex64(xxh3_64("a")), "e6c632b61e964e1f");
  EXPECT_EQ(hex64(xxh3_64("abc")), "78af5f94892f3950");
  EXPECT_EQ(hex64(1), "0000000000000001");
}

TEST(Hash, PiecesHashLikeTheWholeAndLikeTheFile) {
  std::string text(3'000'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31);
  Xxh3 pieces;
  pieces.update(text.data(), 1)
      .update(text.data() + 1, 999'999)
      .update(text.data() + 1'000'000, 2'000'000);
  EXPECT_EQ(pieces.digest(), xxh3_64(text));
  const auto file = std::filesystem::temp_directory_path() / ("hash-" + std::to_string(getpid()));
  std::ofstream(file, std::ios::binary) << text;
  EXPECT_EQ(xxh3_64_file(file), xxh3_64(text));
  std::filesystem::remove(file);
  EXPECT_THROW(xxh3_64_file(file), Error);
}

TEST(Hash, AFolderIsNoFile) {
  EXPECT_THROW(xxh3_64_file(std::filesystem::temp_directory_path()), Error);
}

TEST(Hash, HmacMatchesRfc4231Case2) {
  EXPECT_EQ(hmac_sha256_hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Hash, KeysAreLongAndDiffer) {
  EXPECT_EQ(random_key_hex().size(), 64u);
  EXPECT_NE(random_key_hex(), random_key_hex());
}

TEST(CounterRng, PhiloxMatchesThePublishedVectors) {  // Random123, kat_vectors, philox4x32 10
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(CounterRng, DrawsDependOnSeedPurposeAndIndexAlone) {
  const auto first = [](std::uint64_t seed, const char* purpose, std::uint64_t index) {
    return CounterRng(seed, purpose, index).u64();
  };
  EXPECT_EQ(first(1, "mask", 2), first(1, "mask", 2));
  EXPECT_EQ((std::set<std::uint64_t>{first(1, "mask", 2), first(2, "mask", 2), first(1, "order", 2),
                                     first(1, "mask", 3)})
                .size(),
            4u);
}

TEST(CounterRng, UniformFillsItsRange) {
  CounterRng rng(7, "test", 0);
  double sum = 0, low = 1, high = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double u = rng.uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u, low = std::min(low, u), high = std::max(high, u);
  }
  EXPECT_NEAR(sum / 100'000, 0.5, 0.005);
  EXPECT_LT(low, 1e-3);
  EXPECT_GT(high, 1 - 1e-3);
}

TEST(CounterRng, BelowIsUnbiased) {
  CounterRng rng(7, "test", 1);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60'000; ++i) ++counts.at(rng.below(6));
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);
  EXPECT_EQ(rng.below(1), 0u);
}

TEST(CounterRng, NormalHasMeanZeroAndVarianceOne) {
  CounterRng rng(7, "test", 2);
  double sum = 0, squares = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double x = rng.normal();
    ASSERT_TRUE(std::isfinite(x));
    sum += x, squares += x * x;
  }
  EXPECT_NEAR(sum / 100'000, 0, 0.015);
  EXPECT_NEAR(squares / 100'000, 1, 0.02);
}

TEST(CounterRng, PermutationsHoldEachOnceAndDiffer) {
  const auto order = CounterRng(1, "order", 0).permutation(1000);
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::int64_t i = 0; i < 1000; ++i) EXPECT_EQ(sorted[static_cast<std::size_t>(i)], i);
  EXPECT_NE(order, sorted);
  EXPECT_NE(order, CounterRng(1, "order", 1).permutation(1000));
  EXPECT_TRUE(CounterRng(1, "order", 1).permutation(0).empty());
}

}  // namespace
}  // namespace homolog
