// Claims about one shard: what is written is read, by us and by h5py, and nothing else is accepted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/open_files.h"
#include "sharding/store/shard_reader.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/shard_store/flipped_bit.h"

namespace homolog::store {
namespace {

namespace fs = std::filesystem;

std::vector<StudyRecord> two_studies() {
  return {StudyRecord::named(hex64(1)), StudyRecord::named(hex64(2))};
}

class ShardTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog_shard_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path one_shard(test::SyntheticPlan plan = {}) {
    test::write_synthetic_store(folder_, plan);
    return folder_ / "shard-00000.h5";
  }
  static std::string refusal(const fs::path& file) {
    try {
      ShardReader reader(file);
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Data);
      EXPECT_NE(std::string(e.what()).find(file.filename().string()), std::string::npos);
      return e.what();
    }
    return "";
  }
  // Runs a line of Python on the shard (h5py, hdf5plugin, numpy as np; `f` is open for `mode`).
  static int python(const fs::path& file, const std::string& mode, const std::string& code) {
    const std::string command = std::string(HOMOLOG_PYTHON) +
                                " -c \"import h5py,hdf5plugin,numpy as np\nf=h5py.File('" +
                                file.string() + "','" + mode + "')\n" + code + "\nf.close()\" 2>&1";
    return std::system(command.c_str());
  }
  fs::path folder_;
};

TEST_F(ShardTest, ReturnsTheIntegersThatWereWritten) {
  const test::SyntheticPlan plan;
  const ShardReader reader(one_shard(plan));
  ASSERT_EQ(reader.crops(), 8);
  std::vector<std::uint16_t> out(static_cast<std::size_t>(reader.header().voxels()));
  ShardReader::Scratch scratch;
  for (std::int64_t i = 0; i < 4; ++i) {
    const auto hu = test::synthetic_hu(plan, i, 1);
    reader.read_window(2 * i + 1, out, scratch);
    for (std::size_t v = 0; v < out.size(); ++v) {
      ASSERT_EQ(out[v], std::clamp<int>(hu[v], -125, 255) + 125) << "voxel " << v;
    }
  }
}

TEST_F(ShardTest, UnclippedKeepsEveryHounsfieldUnit) {
  test::SyntheticPlan plan;
  plan.encoding = Encoding::RawI16;
  const ShardReader reader(one_shard(plan));
  std::vector<std::int16_t> stored(static_cast<std::size_t>(reader.header().voxels()));
  PackedCrop packed;
  reader.read_stored(0, std::as_writable_bytes(std::span(stored)), packed);
  EXPECT_EQ(stored, test::synthetic_hu(plan, 0, 0));
}

// Bytes hold the window in 256 steps: what is lost is what FORMAT.md states.
TEST_F(ShardTest, EveryEncodingAndCodecGivesTheWindowWithinItsStatedError) {
  for (const Codec codec : {Codec::Lz4, Codec::Zstd}) {
    for (const auto& [encoding, error_hu] :
         {std::pair{Encoding::ClippedU16, 0}, std::pair{Encoding::RawI16, 0},
          std::pair{Encoding::SteppedU8, 1}}) {
      test::SyntheticPlan plan;
      plan.encoding = encoding;
      plan.codec = codec;
      const ShardReader reader(one_shard(plan));
      EXPECT_EQ(reader.header().codec, codec);
      std::vector<std::uint16_t> out(static_cast<std::size_t>(reader.header().voxels()));
      ShardReader::Scratch scratch;
      reader.read_window(0, out, scratch);
      const auto hu = test::synthetic_hu(plan, 0, 0);
      int worst = 0;
      for (std::size_t v = 0; v < out.size(); ++v)
        worst = std::max(worst, std::abs(out[v] - (std::clamp<int>(hu[v], -125, 255) + 125)));
      EXPECT_EQ(worst, error_hu) << encoding_name(encoding) << " " << codec_name(codec);
      fs::remove_all(folder_);
      fs::create_directories(folder_);
    }
  }
}

TEST_F(ShardTest, AWindowOfAtMost256ValuesIsLosslessInBytes) {
  ShardHeader header;
  header.encoding = Encoding::SteppedU8;
  header.window_low_hu = -100;
  header.window_high_hu = 155;
  std::vector<std::int16_t> hu(300);
  for (std::size_t i = 0; i < hu.size(); ++i) hu[i] = static_cast<std::int16_t>(i) - 120;
  std::vector<std::byte> stored(hu.size());
  std::vector<std::uint16_t> window(hu.size());
  encode(header, hu, stored);
  to_window(header, stored, window);
  for (std::size_t i = 0; i < hu.size(); ++i)
    EXPECT_EQ(window[i], std::clamp<int>(hu[i], -100, 155) + 100);
}

TEST_F(ShardTest, H5pyReadsTheSameCrops) {
  const test::SyntheticPlan plan;
  const fs::path file = one_shard(plan);
  const ShardReader reader(file);
  std::vector<std::uint16_t> out(static_cast<std::size_t>(reader.header().voxels()));
  ShardReader::Scratch scratch;
  reader.read_window(5, out, scratch);
  std::uint64_t sum = 0;
  for (std::size_t v = 0; v < out.size(); ++v) sum += out[v] * (v % 97 + 1);
  EXPECT_EQ(python(file, "r",
                   "c=f['crops'][5].astype(np.uint64); assert f['crops'].shape==(8,16,32,32), "
                   "f['crops'].shape\n"
                   "assert f['crops'].dtype==np.uint16 and f['crops'].chunks==(1,16,32,32)\n"
                   "w=np.arange(c.size,dtype=np.uint64)%97+1; assert int((c.ravel()*w).sum())==" +
                       std::to_string(sum) +
                       "\nt=f['pair_table'][:]; assert (t['key']==t['query']+1).all()\n"
                       "assert len(f['study_table']['id'][0])==16 and f.attrs['version']==2"),
            0);
}

TEST_F(ShardTest, TheSameContentGivesTheSameBytesASecondLater) {
  const auto first = test::write_synthetic_store(folder_ / "a", {});
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(test::write_synthetic_store(folder_ / "b", {}).hash, first.hash);
}

TEST_F(ShardTest, TruncatedShardIsRefusedAtEveryLength) {
  const fs::path file = one_shard();
  const auto size = fs::file_size(file);
  for (const auto keep :
       {size - 1, size / 2, size / 10, std::uintmax_t{100}, std::uintmax_t{1}, std::uintmax_t{0}}) {
    fs::resize_file(file, keep);
    EXPECT_NE(refusal(file), "") << keep << " bytes";
  }
}

// Of the whole process, put back at the end.
struct OpenFileLimit {
  explicit OpenFileLimit(rlim_t files) {
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit low{files, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &low);
  }
  ~OpenFileLimit() { ::setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

TEST_F(ShardTest, TooManyOpenFilesIsAFaultOfTheMachineNotOfTheShard) {
  const fs::path file = one_shard();
  { const ShardReader once(file); }  // what HDF5 opens for itself is open now
  const int next = ::dup(0);         // the lowest free descriptor
  ::close(next);
  for (const int left : {0, 1}) {  // for our own descriptor, for HDF5's
    const OpenFileLimit limit(static_cast<rlim_t>(next + left));
    try {
      const ShardReader reader(file);
      ADD_FAILURE() << "opened with " << left << " descriptors left";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Environment) << left;
      EXPECT_THAT(e.what(), ::testing::AllOf(::testing::HasSubstr(file.string()),
                                             ::testing::HasSubstr("Too many open files"),
                                             ::testing::HasSubstr("ulimit -n")));
    }
  }
  const OpenFileLimit limit(static_cast<rlim_t>(next + 1));
  allow_many_open_files();
  EXPECT_NO_THROW(ShardReader{file});
}

TEST_F(ShardTest, FlippedByteOfACropIsFoundAndNamed) {
  const fs::path file = one_shard();
  flip_a_bit_of_crop(file, 3);
  const ShardReader reader(file);
  std::vector<std::uint16_t> out(static_cast<std::size_t>(reader.header().voxels()));
  ShardReader::Scratch scratch;
  for (std::int64_t row = 0; row < 8; ++row) {
    if (row != 3) {
      EXPECT_NO_THROW(reader.read_window(row, out, scratch));
      continue;
    }
    try {
      reader.read_window(row, out, scratch);
      FAIL() << "a flipped byte went through";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Data);
      EXPECT_THAT(e.what(), ::testing::HasSubstr("shard-00000.h5, crop 3 at byte"));
    }
  }
}

// The descriptor is held from the start: what happens to the name is nothing to a run.
TEST_F(ShardTest, RemovalAndLostPermissionWhileOpenChangeNothing) {
  const fs::path file = one_shard();
  const ShardReader reader(file);
  std::vector<std::uint16_t> out(static_cast<std::size_t>(reader.header().voxels()));
  ShardReader::Scratch scratch;
  fs::permissions(file, fs::perms::none);
  EXPECT_NO_THROW(reader.read_window(5, out, scratch));
  fs::remove(file);
  EXPECT_NO_THROW(reader.read_window(6, out, scratch));
}

TEST_F(ShardTest, AShardThatIsCutWhileOpenLosesItsLastCropsAlone) {
  const fs::path file = one_shard();
  const ShardReader reader(file);
  std::vector<std::uint16_t> out(static_cast<std::size_t>(reader.header().voxels()));
  ShardReader::Scratch scratch;
  fs::resize_file(file, reader.chunk(5).offset + 7);
  EXPECT_NO_THROW(reader.read_window(4, out, scratch));
  try {
    reader.read_window(5, out, scratch);
    FAIL() << "half a crop went through";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("shard-00000.h5, crop 5 at byte"));
  }
}

TEST_F(ShardTest, PatientTextCannotBeAnId) {
  ShardHeader header;
  header.crop = {8, 8, 8};
  header.sam_hash = header.plan_hash = hex64(1);
  try {
    ShardWriter writer(folder_ / "shard-00000.h5", header,
                       {StudyRecord::named("DOE^JOHN        ")});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Usage);
    EXPECT_THAT(e.what(), ::testing::Not(::testing::HasSubstr("DOE")));
  }
}

TEST_F(ShardTest, UnsealedShardLeavesNothing) {
  {
    ShardHeader header;
    header.crop = {8, 8, 8};
    header.sam_hash = header.plan_hash = hex64(1);
    ShardWriter writer(folder_ / "shard-00000.h5", header, two_studies());
    writer.add_crop({}, std::vector<std::int16_t>(512, 7));
  }
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(ShardTest, FullDiskLeavesNothingAndSaysSo) {
  if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=8m") != 0) {
    GTEST_SKIP() << "mounting a small tmpfs is not permitted here: the full disk was NOT tested";
  }
  std::string what;
  try {
    ShardHeader header;
    header.crop = {64, 64, 64};
    header.sam_hash = header.plan_hash = hex64(1);
    ShardWriter writer(folder_ / "shard-00000.h5", header, two_studies());
    CounterRng rng(1, "noise", 0);
    std::vector<std::int16_t> hu(64 * 64 * 64);
    for (int i = 0; i < 64; ++i) {
      for (auto& v : hu) v = static_cast<std::int16_t>(rng.below(381)) - 125;
      writer.add_crop({}, hu);
    }
    writer.seal();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Environment);
    what = e.what();
  }
  const bool empty = fs::is_empty(folder_);
  ::umount(folder_.c_str());
  EXPECT_THAT(what, ::testing::HasSubstr("No space left"));
  EXPECT_THAT(what, ::testing::HasSubstr("finished shards are kept"));
  EXPECT_TRUE(empty);
}

}  // namespace
}  // namespace homolog::store
