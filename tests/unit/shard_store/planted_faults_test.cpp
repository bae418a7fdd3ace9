// Claims about a store that is damaged or forged: faults/plant_faults.py plants one fault in a copy
// of a clean store, everything else is made true again, and the fault must be found by its name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "sharding/store/pair_store.h"
#include "sharding/store/verify.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/shard_store/flipped_bit.h"

namespace homolog::store {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class PlantedFaults : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("homolog_faults_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    test::SyntheticPlan plan;
    plan.validation = 4;
    test::write_synthetic_store(folder_ / "clean", plan);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Name of each fault, with what is expected of it.
  std::map<std::string, nlohmann::json> planted() const {
    const std::string command = std::string(HOMOLOG_PYTHON) + " " + HOMOLOG_SOURCE_DIR +
                                "/tests/unit/shard_store/faults/plant_faults.py " +
                                (folder_ / "clean").string() + " " + folder_.string();
    EXPECT_EQ(std::system(command.c_str()), 0);
    std::ifstream expected(folder_ / "expected.json");
    return nlohmann::json::parse(expected).get<std::map<std::string, nlohmann::json>>();
  }
  // One finding a line; a store.json that cannot be read is one too.
  static std::string findings(const fs::path& store) {
    std::string all;
    try {
      for (const Finding& f : verify(store).findings) all += place_of(f) + ": " + f.what + "\n";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Data) << store;
      all = e.summary() + "\n";
    }
    return all;
  }
  // What training does with the store: "open" refused, "read" the fault is met at pair 1 and no
  // other, "passes".
  static std::string training(const fs::path& store) try {
    const PairStore pairs({store, "train"});
    std::vector<std::uint16_t> window(static_cast<std::size_t>(pairs.header().voxels()));
    ShardReader::Scratch scratch;
    std::vector<std::int64_t> refused;
    for (std::int64_t i = 0; i < pairs.pairs(); ++i) {
      const auto place = pairs.at(i);
      try {
        for (const std::uint32_t row : {place.pair.query, place.pair.key})
          place.shard->read_window(row, window, scratch);
      } catch (const Error& e) {
        EXPECT_EQ(e.fault(), Fault::Data);
        refused.push_back(i);
      }
    }
    if (refused.empty()) return "passes";
    return refused == std::vector<std::int64_t>{1} ? "read" : "other pairs";
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Data) << store;
    return "open";
  }
  fs::path folder_;
};

TEST_F(PlantedFaults, NoneIsSeenInCleanStoresOfAnyEncodingCodecOrMargin) {
  for (const Encoding encoding : {Encoding::ClippedU16, Encoding::SteppedU8, Encoding::RawI16}) {
    for (const Codec codec : {Codec::Lz4, Codec::Zstd}) {
      for (const int margin : {0, 3}) {
        test::SyntheticPlan plan;
        plan.encoding = encoding;
        plan.codec = codec;
        plan.margin = margin;
        plan.train = 70;  // more crops than one node of HDF5's index holds
        plan.pairs_per_shard = 66;
        const fs::path store = folder_ / "whole";
        test::write_synthetic_store(store, plan);
        EXPECT_EQ(findings(store), "") << encoding_name(encoding) << " " << codec_name(codec);
        fs::remove_all(store);
      }
    }
  }
}

TEST_F(PlantedFaults, EachIsNamedByVerifyWithoutPatientText) {
  const auto faults = planted();
  EXPECT_GE(faults.size(), 120U);
  for (const auto& [name, expected] : faults) {
    const std::string found = findings(folder_ / name);
    EXPECT_THAT(found, HasSubstr(expected.at("finding").get<std::string>())) << name;
    EXPECT_THAT(found, ::testing::Not(HasSubstr("DOE"))) << name;
  }
}

TEST_F(PlantedFaults, TrainingRefusesOrLeavesOutWhatWouldReachTheModel) {
  for (const auto& [name, expected] : planted())
    EXPECT_EQ(training(folder_ / name), expected.at("training")) << name;
}

// A forged size, link or chunk costs neither memory nor the program.
TEST_F(PlantedFaults, EachEndsTheCommandWithCode3InBoundedMemory) {
  const auto faults = planted();
  rusage own{};
  ::getrusage(RUSAGE_SELF, &own);  // a child's peak begins at its parent's
  const long most_kib = std::max(200L << 10, own.ru_maxrss + 1024);
  for (const auto& [name, expected] : faults) {
    const std::string program = HOMOLOG_BIN_DIR "/homolog-store", store = folder_ / name;
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(60);
      if (!std::freopen("/dev/null", "w", stdout) || !std::freopen("/dev/null", "w", stderr))
        ::_exit(1);
      ::execl(program.c_str(), program.c_str(), "verify", store.c_str(), nullptr);
      ::_exit(127);
    }
    int status = 0;
    rusage usage{};
    ASSERT_EQ(::wait4(child, &status, 0, &usage), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3) << name << ": " << status;
    EXPECT_LT(usage.ru_maxrss, most_kib) << name << ", KiB";
  }
}

TEST_F(PlantedFaults, OneBrokenShardDoesNotHideTheNext) {
  const fs::path store = folder_ / "clean";
  fs::resize_file(store / "shard-00000.h5", 1000);
  flip_a_bit_of_crop(store / "shard-00001.h5", 5);
  const std::string found = findings(store);
  EXPECT_THAT(found, HasSubstr("shard-00000.h5: truncated or damaged"));
  EXPECT_THAT(found, HasSubstr("shard-00001.h5, crop 5 at byte "));
  EXPECT_THAT(found, HasSubstr(": checksum differs"));
}

TEST_F(PlantedFaults, AFindingSaysItsPlaceOnceAndOfACropTheByte) {
  const fs::path store = folder_ / "clean", shard = store / "shard-00001.h5";
  flip_a_bit_of_crop(shard, 5);
  const auto found = verify(store).findings;
  ASSERT_EQ(found.size(), 2U) << "the file's hash, and the crop";
  EXPECT_EQ(place_of(found[1]),
            "shard-00001.h5, crop 5 at byte " + std::to_string(ShardReader(shard).chunk(5).offset));
  for (const auto& [name, expected] : planted()) {
    try {
      for (const Finding& f : verify(folder_ / name).findings) {
        EXPECT_THAT(f.what, ::testing::Not(HasSubstr(f.shard + ":"))) << name;
        EXPECT_THAT(f.what, ::testing::Not(HasSubstr(f.shard + ","))) << name;
      }
    } catch (const Error&) {  // store.json itself
    }
  }
}

TEST_F(PlantedFaults, AdviceOnStrayFilesIsToMoveThemAway) {
  const fs::path store = folder_ / "clean";
  std::ofstream(store / "notes.txt") << "x";
  fs::create_directory(store / "notes");
  EXPECT_EQ(verify(store).remedy(),
            "move what store.json does not list out of the store's folder (ls -A shows it)");
  flip_a_bit_of_crop(store / "shard-00001.h5", 5);
  EXPECT_THAT(verify(store).remedy(), HasSubstr("; copy the named shards again"));
}

TEST_F(PlantedFaults, AnAllAirCropOfUnclippedValuesIsNamed) {
  test::SyntheticPlan plan;
  StoreManifest manifest;
  manifest.header.crop = plan.crop;
  manifest.header.encoding = Encoding::RawI16;
  manifest.header.sam_hash = manifest.header.plan_hash = hex64(1);
  const fs::path store = folder_ / "air";
  fs::create_directories(store);
  ShardWriter writer(store / "shard-00000.h5", manifest.header,
                     {StudyRecord::named(hex64(1)), StudyRecord::named(hex64(2))});
  CropRecord record;
  std::vector<std::int16_t> hu = test::synthetic_hu(plan, 0, 0);
  writer.add_crop(record, hu);
  for (std::int16_t& v : hu) v = static_cast<std::int16_t>(-1000 + v % 20);
  record.study = 1;
  writer.add_crop(record, hu);
  writer.add_pair({0, 1, 0.5F});
  manifest.shards.push_back(writer.seal());
  manifest.studies["train"] = {hex64(1), hex64(2)};
  save_manifest(store, manifest);
  EXPECT_THAT(findings(store), HasSubstr("shard-00000.h5, crop 1 at byte"));
  EXPECT_THAT(findings(store), HasSubstr(": an all-air crop"));
}

TEST_F(PlantedFaults, AnEmptyShardIsNone) {
  StoreManifest manifest = load_manifest(folder_ / "clean");
  ShardWriter writer(folder_ / "clean" / "shard-00003.h5", manifest.header, {});
  manifest.shards.push_back(writer.seal());
  save_manifest(folder_ / "clean", manifest);
  EXPECT_EQ(findings(folder_ / "clean"), "");
  EXPECT_EQ(training(folder_ / "clean"), "passes");
}

TEST_F(PlantedFaults, AFolderThatIsNotThereIsNamedAsThat) {
  try {
    load_manifest(folder_ / "absent");
    FAIL() << "loaded";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::Data);
    EXPECT_THAT(error.summary(), HasSubstr("there is no folder"));
  }
}

// What cannot be read may be whole: no finding, and not the data's fault.
TEST_F(PlantedFaults, LostPermissionIsNamedAndIsNoDamage) {
  const fs::path store = folder_ / "clean";
  const bool root = ::geteuid() == 0;  // whom no permission holds
  for (const char* name : {"shard-00000.h5", "store.json"}) {
    const auto before = fs::status(store / name).permissions();
    fs::permissions(store / name, fs::perms::none);
    ASSERT_EQ(root ? ::seteuid(65534) : 0, 0);
    for (const bool trains : {false, true}) {
      try {
        if (trains)
          PairStore({store, "train"});
        else
          verify(store);
        ADD_FAILURE() << name << " was read";
      } catch (const Error& e) {
        EXPECT_EQ(e.fault(), Fault::Environment);
        EXPECT_THAT(e.what(), AllOf(HasSubstr(name), HasSubstr("ermission denied"),
                                    HasSubstr("read permission")));
      }
    }
    ASSERT_EQ(root ? ::seteuid(0) : 0, 0);
    fs::permissions(store / name, before);
  }
}

}  // namespace
}  // namespace homolog::store
