// Inputs that look like scans but lie about it: odd files, odd numbers, odd bytes. Each gets a line
// that names the true cause.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "base/stop_signal.h"
#include "sharding/import/load.h"
#include "sharding/import/survey.h"

namespace homolog::import {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSide = 20;

// A body of 40 HU in air, x fastest.
std::vector<float> body() {
  std::vector<float> hu(kSide * kSide * kSide, -1000);
  for (std::size_t i = 0; i < hu.size(); ++i) {
    if (i % kSide >= 5 && i % kSide < 15) hu[i] = static_cast<float>(i % 97);
  }
  return hu;
}

template <class T>
void put(std::string& bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

// A NIfTI of floats; `affine`: its sform, row-major 3 x 4.
std::string nifti(const std::vector<float>& hu, const std::array<float, 12>& affine) {
  std::string bytes(352 + hu.size() * 4, '\0');
  put(bytes, 0, std::int32_t{348});
  const std::int16_t side = kSide, three = 3;
  put(bytes, 40, three);
  for (std::size_t i = 0; i < 3; ++i) {
    put(bytes, 42 + 2 * i, side);
    put(bytes, 80 + 4 * i, std::hypot(affine[i], affine[4 + i], affine[8 + i]));
  }
  put(bytes, 70, std::int16_t{16});
  put(bytes, 72, std::int16_t{32});
  put(bytes, 76, 1.0F);
  put(bytes, 108, 352.0F);
  put(bytes, 112, 1.0F);
  bytes[123] = 2;
  put(bytes, 254, std::int16_t{1});
  for (std::size_t i = 0; i < 12; ++i) put(bytes, 280 + 4 * i, affine[i]);
  std::memcpy(bytes.data() + 344, "n+1", 4);
  std::memcpy(bytes.data() + 352, hu.data(), hu.size() * 4);
  return bytes;
}

std::array<float, 12> spaced(float mm) { return {mm, 0, 0, 0, 0, mm, 0, 0, 0, 0, mm, 0}; }

std::string gzip(const std::string& text) {
  std::string out(compressBound(text.size()) + 64, '\0');
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<unsigned>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

class OddInput : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog_odd_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  CatalogEntry only(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    const Survey found = survey({folder_ / name}, "key", 1);
    EXPECT_EQ(found.entries.size(), 1U);
    return found.entries.empty() ? CatalogEntry{} : found.entries[0];
  }
  std::string reason(const std::string& bytes, Verdict verdict, const std::string& name = "a.nii") {
    const CatalogEntry entry = only(name, bytes);
    EXPECT_STREQ(verdict_name(entry.verdict), verdict_name(verdict));
    return entry.reasons.empty() ? "" : entry.reasons.back();
  }
  fs::path folder_;
};

TEST_F(OddInput, AWholeFloatScanIsAcceptedSoThatTheRestMeansSomething) {
  EXPECT_EQ(reason(nifti(body(), spaced(2)), Verdict::Accept), "");
}

TEST_F(OddInput, LinksPipesAndFoldersNamedLikeScansGetALine) {
  fs::create_symlink(folder_ / "nowhere", folder_ / "x.nii.gz");
  ASSERT_EQ(::mkfifo((folder_ / "pipe.nii.gz").c_str(), 0600), 0);
  fs::create_directories(folder_ / "folder.nii.gz");
  std::ofstream(folder_ / "folder.nii.gz" / "good.nii") << nifti(body(), spaced(2));
  fs::create_directory_symlink(folder_, folder_ / "loop.mha");
  ::mkfifo((folder_ / "notes").c_str(), 0600);
  const Survey found = survey({folder_}, "key", 1);
  ASSERT_EQ(found.entries.size(), 5U);
  EXPECT_THAT(found.entries[0].reasons[0], testing::HasSubstr("is a folder"));
  EXPECT_EQ(found.entries[1].verdict, Verdict::Accept) << "folders are walked all the same";
  EXPECT_THAT(found.entries[2].reasons[0], testing::HasSubstr("link to a folder"));
  EXPECT_THAT(found.entries[3].reasons[0], testing::HasSubstr("pipe"));
  EXPECT_THAT(found.entries[4].reasons[0], testing::HasSubstr("missing"));
}

TEST_F(OddInput, HuBeyondInt16AreRefusedWhenManyAndCountedWhenFew) {
  auto hu = body();
  for (float& value : hu) value *= 1e6F;
  EXPECT_THAT(reason(nifti(hu, spaced(2)), Verdict::Reject),
              testing::HasSubstr("lie outside -32768..32767 HU"));
  hu = body();
  for (std::size_t i = 0; i < 7; ++i) hu[100 * i] = 60000;
  EXPECT_THAT(reason(nifti(hu, spaced(2)), Verdict::Warn, "few.nii"),
              testing::HasSubstr("go beyond what scanners give"));
  const CatalogEntry few = only("few.nii", nifti(hu, spaced(2)));
  EXPECT_THAT(few.reasons[0], testing::HasSubstr("7 of 8000 voxels lie outside"));
}

TEST_F(OddInput, VoxelsThatAreNoNumbersAreCountedAndBecomeAir) {
  auto hu = body();
  hu[7] = std::numeric_limits<float>::quiet_NaN();
  hu[4008] = std::numeric_limits<float>::infinity();
  for (const std::string name : {"a.nii", "a.nii.gz"}) {
    const std::string bytes = nifti(hu, spaced(2));
    const CatalogEntry entry = only(name, name == "a.nii" ? bytes : gzip(bytes));
    EXPECT_EQ(entry.verdict, Verdict::Warn);
    ASSERT_EQ(entry.reasons.size(), 1U);
    EXPECT_THAT(entry.reasons[0], testing::HasSubstr("2 voxels are not numbers"));
    const Volume volume = load_volume(entry);
    EXPECT_EQ(std::count(volume.hu.begin(), volume.hu.end(), kAirHu), 2);
  }
}

TEST_F(OddInput, GeometryThatNoScannerGivesIsRefusedWithItsNumbers) {
  const auto hu = body();
  EXPECT_THAT(reason(nifti(hu, spaced(300)), Verdict::Reject),
              testing::HasSubstr("300 x 300 x 300 mm"));
  EXPECT_THAT(reason(nifti(hu, spaced(0.001F)), Verdict::Reject),
              testing::HasSubstr("voxels of 0.001 x 0.001 x 0.001 mm"));
  auto affine = spaced(2);
  affine[3] = 1e30F;
  EXPECT_THAT(reason(nifti(hu, affine), Verdict::Reject), testing::HasSubstr("origin"));
  affine = spaced(2);
  affine[1] = 1;
  EXPECT_THAT(reason(nifti(hu, affine), Verdict::Reject),
              testing::HasSubstr("not at right angles"));
  Grid tall;
  tall.size = {100, 100, 200};
  tall.spacing = {2, 2, 30};
  Volume volume{"", tall, std::vector<std::int16_t>(2000000, 0)};
  for (std::size_t i = 0; i < volume.hu.size(); i += 3) volume.hu[i] = -1000;
  write_volume(volume, folder_ / "tall.nii");
  const Survey found = survey({folder_ / "tall.nii"}, "key", 1);
  ASSERT_FALSE(found.entries[0].reasons.empty());
  EXPECT_THAT(found.entries[0].reasons[0], testing::HasSubstr("200 x 200 x 6000 mm"));
}

TEST_F(OddInput, AnNrrdThatDoesNotNameItsSpaceIsWarnedAbout) {
  const auto hu = body();
  std::string bytes =
      "NRRD0004\ntype: float\ndimension: 3\nspace dimension: 3\nsizes: 20 20 20\n"
      "space directions: (2,0,0) (0,2,0) (0,0,2)\nendian: little\nencoding: raw\n\n";
  bytes.append(reinterpret_cast<const char*>(hu.data()), hu.size() * 4);
  EXPECT_THAT(reason(bytes, Verdict::Warn, "a.nrrd"),
              testing::HasSubstr("left and right may be swapped"));
}

TEST_F(OddInput, BytesBehindTheVoxelsAreWarnedAboutAlsoInsideTheCompression) {
  const std::string whole = nifti(body(), spaced(2)), more = "more bytes";
  EXPECT_THAT(reason(whole + more, Verdict::Warn),
              testing::HasSubstr("10 bytes behind the voxels"));
  EXPECT_THAT(reason(gzip(whole + more), Verdict::Warn, "a.nii.gz"),
              testing::HasSubstr("10 bytes behind the voxels"));
  EXPECT_THAT(reason(gzip(whole) + gzip(more), Verdict::Warn, "b.nii.gz"),
              testing::HasSubstr("10 bytes behind the voxels"));
}

TEST_F(OddInput, ADamagedGzipIsCalledThatAndNotEmpty) {
  std::string bytes = gzip(nifti(body(), spaced(2)));
  for (const std::size_t at : {0U, 10U, 12U}) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(~damaged[at]);
    EXPECT_THAT(reason(damaged, Verdict::Reject, "a.nii.gz"),
                testing::HasSubstr("not a readable gzip stream"))
        << at;
  }
  EXPECT_THAT(reason("", Verdict::Reject, "b.nii.gz"), testing::HasSubstr("is empty"));
}

TEST_F(OddInput, AScanThatIsGoneIsCalledMissing) {
  const CatalogEntry entry = only("a.nii", nifti(body(), spaced(2)));
  fs::remove(folder_ / "a.nii");
  try {
    load_volume(entry);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::Data);
    EXPECT_EQ(error.summary(),
              "study " + entry.id + ": file 1 of 1 is missing since the catalogue was made");
  }
}

TEST_F(OddInput, WhatALoadSaysHoldsNoNameOfAFileOrFolder) {
  fs::create_directories(folder_ / "DOE^JANE 1970");
  const fs::path file = folder_ / "DOE^JANE 1970" / "DOE.nii";
  std::ofstream(file) << nifti(body(), spaced(2));
  const Survey found = survey({file.parent_path()}, "key", 1);
  ASSERT_EQ(found.entries.size(), 1U);
  const auto said = [&] {
    try {
      load_volume(found.entries[0]);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("nothing, which is DOE too");
  };
  const auto size = fs::file_size(file);
  for (const std::uintmax_t bytes : {size / 2, std::uintmax_t{100}, std::uintmax_t{0}}) {
    fs::resize_file(file, bytes);
    EXPECT_THAT(said(), testing::Not(testing::HasSubstr("DOE"))) << bytes;
    EXPECT_THAT(said(), testing::HasSubstr(found.entries[0].id));
  }
  fs::remove(file);
  EXPECT_THAT(said(), testing::Not(testing::HasSubstr("DOE")));
}

TEST_F(OddInput, AScanThatCannotBeReachedIsADataFaultWithItsCause) {
  CatalogEntry entry = only("a.nii", nifti(body(), spaced(2)));
  fs::create_directory_symlink("loop", folder_ / "loop");  // root, too, is refused there
  entry.files = FileList({folder_ / "loop" / "a.nii"});
  try {
    load_volume(entry);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::Data);
    EXPECT_THAT(error.summary(), testing::HasSubstr(entry.id + ": file 1 of 1"));
    EXPECT_THAT(error.summary(), testing::HasSubstr(std::strerror(ELOOP)));
  }
}

TEST_F(OddInput, ASignalEndsTheSurveyWithItsOwnFault) {
  std::ofstream(folder_ / "a.nii") << nifti(body(), spaced(2));
  const auto stopped = [this] {  // in a child, because a stop flag stays raised
    raise_stop_flag(2);
    try {
      survey({folder_}, "key", 1);
    } catch (const Error& error) {
      ::_exit(error.fault() == Fault::Stopped ? 0 : 2);
    }
    ::_exit(1);
  };
  EXPECT_EXIT(stopped(), ::testing::ExitedWithCode(0), "");
}

TEST(Printable, ControlCharactersAreEscapedAndOthersKept) {
  EXPECT_EQ(printable("a\nb\x1b[31m ä"), "a\\nb\\x1b[31m ä");
}

}  // namespace
}  // namespace homolog::import
