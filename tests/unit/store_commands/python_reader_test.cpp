// The lines of docs/guide/store.md read a store without homolog, and give what our reader gives.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "sharding/store/pair_store.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/store_commands/temporary_folder.h"

namespace homolog::store {
namespace {

namespace fs = std::filesystem;

// Runs the guide's code where `store` lies, then writes every pair of `Pairs("store")` to `hu`.
constexpr const char* kDriver = R"(
import re, sys
guide = open(sys.argv[1]).read()
blocks = re.findall(r"```python\n(.*?)```", guide, re.S)
assert len(blocks) == 2, len(blocks)
exec("\n".join(blocks))
pairs = Pairs("store")
with open("hu", "wb") as out:
    for i in range(len(pairs)):
        for side in pairs[i]:
            assert side.dtype == torch.int16
            out.write(side.numpy().tobytes())
)";

std::vector<std::int16_t> read_by_the_guide(const fs::path& folder) {
  std::ofstream(folder / "driver.py") << kDriver;
  const std::string command = "cd " + folder.string() +
                              " && OMP_NUM_THREADS=1 " HOMOLOG_PYTHON
                              " driver.py " HOMOLOG_SOURCE_DIR "/docs/guide/store.md > said";
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  std::ifstream in(folder / "hu", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<std::int16_t> hu(bytes.size() / 2);
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(hu.data()));
  return hu;
}

std::vector<std::int16_t> read_by_us(const PairStore& pairs) {
  std::vector<std::int16_t> hu;
  std::vector<std::uint16_t> window(static_cast<std::size_t>(pairs.header().voxels()));
  ShardReader::Scratch scratch;
  for (std::int64_t i = 0; i < pairs.pairs(); ++i) {
    const auto at = pairs.at(i);
    for (const std::uint32_t row : {at.pair.query, at.pair.key}) {
      at.shard->read_window(row, window, scratch);
      for (const std::uint16_t value : window)
        hu.push_back(static_cast<std::int16_t>(pairs.header().window_low_hu + value));
    }
  }
  return hu;
}

class PythonReader : public ::testing::TestWithParam<Encoding> {};

TEST_P(PythonReader, TheGuidesLinesGiveWhatOursGive) {
  const test::TemporaryFolder folder("python_reader");
  test::SyntheticPlan plan{.train = 6, .validation = 4, .crop = {16, 12, 8}};
  plan.encoding = GetParam();
  test::write_synthetic_store(folder.path() / "store", plan);
  const PairStore pairs({folder.path() / "store", "train"});
  const auto theirs = read_by_the_guide(folder.path()), ours = read_by_us(pairs);
  ASSERT_EQ(theirs.size(), ours.size());
  int most = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const int clipped = std::clamp<int>(theirs[i], -125, 255);  // ours, also of int16
    most = std::max(most, std::abs(clipped - ours[i]));
  }
  EXPECT_LE(most, GetParam() == Encoding::SteppedU8 ? 1 : 0);
  std::ifstream said(folder.path() / "said");
  const std::string text{std::istreambuf_iterator<char>(said), {}};
  EXPECT_NE(text.find("query of study 0000000000000001 at [0. 0. 0.] LPS mm"), std::string::npos)
      << text;
  const std::size_t landmark = (4 * 12 + 5) * 16 + 7;  // [z][y][x] of the first crop
  EXPECT_NE(text.find(std::to_string(theirs[landmark]) + " HU; score 0.9"), std::string::npos)
      << text;
}

INSTANTIATE_TEST_SUITE_P(EachEncoding, PythonReader,
                         ::testing::Values(Encoding::ClippedU16, Encoding::SteppedU8,
                                           Encoding::RawI16),
                         [](const auto& info) { return std::string(encoding_name(info.param)); });

}  // namespace
}  // namespace homolog::store
