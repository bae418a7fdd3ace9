// A set on disk: the same whatever count and jobs, labels apart from images, bad input refused.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/stop_signal.h"
#include "sharding/import/content.h"
#include "sharding/import/load.h"
#include "sharding/phantom/phantom.h"

namespace homolog::phantom {
namespace {

namespace fs = std::filesystem;

std::string write_and_hash(const Volume& volume, const fs::path& file) {
  import::write_volume(volume, file);
  return import::content_hash(volume);
}

class PhantomSet : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() / ("phantom_set_" + std::to_string(getpid()) + "_" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Bodies by file name, kept in memory.
  std::map<std::string, Volume> make(const PhantomPlan& plan) {
    std::map<std::string, Volume> volumes;
    std::mutex mutex;
    write_phantoms(
        plan, folder_,
        [&](const Volume& volume, const fs::path& file) {
          const std::lock_guard lock(mutex);
          volumes[file.filename()] = volume;
          return std::string("0011223344556677");
        },
        [](const Grid&, const std::vector<std::uint8_t>&, const fs::path&) {}, [&] { ++bodies_; });
    return volumes;
  }
  nlohmann::json landmarks() const {
    return nlohmann::json::parse(std::ifstream(folder_ / "landmarks.json"));
  }

  Fault fault_of(const PhantomPlan& plan) {
    try {
      make(plan);
    } catch (const Error& e) {
      return e.fault();
    }
    return Fault{0};
  }

  fs::path folder_;
  std::atomic<int> bodies_{0};
};

TEST_F(PhantomSet, BodiesDoNotDependOnCountOrJobs) {
  const auto few =
      make({.count = 2, .seed = 5, .spacing = 8, .landmarks = 20, .jobs = 1, .labels = false});
  const auto first = landmarks();
  fs::remove_all(folder_);
  const auto more =
      make({.count = 4, .seed = 5, .spacing = 8, .landmarks = 20, .jobs = 3, .labels = false});
  const auto second = landmarks();
  ASSERT_EQ(few.size(), 2u);
  ASSERT_EQ(more.size(), 4u);
  EXPECT_EQ(bodies_, 6);
  for (const auto& [name, volume] : few) {
    EXPECT_EQ(volume.hu, more.at(name).hu) << name;
    EXPECT_EQ(volume.grid, more.at(name).grid) << name;
  }
  EXPECT_EQ(first["points"], second["points"]);
  for (const auto& [name, places] : first["bodies"].items())
    EXPECT_EQ(places, second["bodies"][name]) << name;
}

TEST_F(PhantomSet, LandmarkFileGivesEachBodyEveryPoint) {
  make({.count = 2, .seed = 5, .spacing = 8, .deformation = 0.25, .landmarks = 50});
  const auto file = landmarks();
  EXPECT_EQ(file["version"], 1);
  EXPECT_EQ(file["seed"], 5);
  EXPECT_EQ(file["deformation"], 0.25);
  ASSERT_EQ(file["points"].size(), 50u);
  EXPECT_EQ(file["points"][7]["id"], 7);
  EXPECT_TRUE(file["points"][7]["organ"].is_string());
  ASSERT_EQ(file["bodies"].size(), 2u);
  const Body body(5, 1, 0.25);
  for (std::size_t i = 0; i < 50; ++i) {
    const auto& place = file["bodies"]["phantom-0001"][i];
    if (place.is_null()) continue;
    const auto& t = file["points"][i]["template"];
    const Point3 back = body.to_template({place[0], place[1], place[2]});
    EXPECT_LT(distance(back, {t[0], t[1], t[2]}), 0.001);
  }
}

TEST_F(PhantomSet, FilesOnDiskHoldTheBodyAndLabelsLieApart) {
  const PhantomPlan plan{.count = 1, .seed = 5, .spacing = 8, .landmarks = 5};
  write_phantoms(plan, folder_, write_and_hash, import::write_labels, [] {});
  EXPECT_TRUE(fs::exists(folder_ / "images/phantom-0000.nii.gz"));
  EXPECT_TRUE(fs::exists(folder_ / "labels/phantom-0000.nii.gz"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "images"), fs::directory_iterator{}), 1);
  const auto table = nlohmann::json::parse(std::ifstream(folder_ / "labels.json"));
  EXPECT_EQ(table["labels"].size(), static_cast<std::size_t>(kOrgans));
  EXPECT_EQ(table["labels"]["23"], "liver");

  import::CatalogEntry entry;
  entry.files = import::FileList({folder_ / "images/phantom-0000.nii.gz"});
  entry.format = "nifti";
  entry.grid = Body(5, 0, plan.deformation).grid(8);
  const Volume read = import::load_volume(entry);
  const Rendered expected = render(Body(5, 0, plan.deformation), 8);
  EXPECT_EQ(read.hu, expected.ct.hu);
  EXPECT_EQ(landmarks()["content"]["phantom-0000"], import::content_hash(read));
  EXPECT_LT(distance(read.grid.origin, expected.ct.grid.origin), 1e-3);
}

TEST_F(PhantomSet, DoesNotMixWithAnOlderSet) {
  const PhantomPlan plan{.count = 1, .spacing = 10, .landmarks = 5};
  write_phantoms(plan, folder_, write_and_hash, import::write_labels, [] {});
  EXPECT_EQ(fault_of(plan), Fault::Usage);
}

TEST_F(PhantomSet, OneThatWasNotFinishedIsMadeAnewButOtherFilesAreKept) {
  const PhantomPlan plan{.count = 2, .spacing = 10, .landmarks = 5};
  write_phantoms(plan, folder_, write_and_hash, import::write_labels, [] {});
  fs::remove(folder_ / "landmarks.json");
  const PhantomPlan fewer{.count = 1, .spacing = 10, .landmarks = 5};
  write_phantoms(fewer, folder_, write_and_hash, import::write_labels, [] {});
  EXPECT_FALSE(fs::exists(folder_ / "images/phantom-0001.nii.gz"));
  fs::remove(folder_ / "landmarks.json");
  std::ofstream(folder_ / "images/mine.nii.gz") << "x";
  EXPECT_EQ(fault_of(plan), Fault::Usage);
  EXPECT_TRUE(fs::exists(folder_ / "images/mine.nii.gz"));
  EXPECT_TRUE(fs::exists(folder_ / "images/phantom-0000.nii.gz"));
}

TEST_F(PhantomSet, AnotherFileAmongTheLabelsKeepsTheImagesToo) {
  fs::create_directories(folder_ / "images");
  fs::create_directories(folder_ / "labels");
  std::ofstream(folder_ / "images/phantom-0000.nii.gz") << "x";
  std::ofstream(folder_ / "labels/mine.nii.gz") << "x";
  EXPECT_EQ(fault_of({.count = 1, .spacing = 10, .landmarks = 5}), Fault::Usage);
  EXPECT_TRUE(fs::exists(folder_ / "images/phantom-0000.nii.gz"));
  EXPECT_TRUE(fs::exists(folder_ / "labels/mine.nii.gz"));
}

TEST_F(PhantomSet, ASignalEndsItAfterABodyWithoutATruth) {
  const auto stopped = [this] {  // in a child, because a stop flag stays raised
    try {
      write_phantoms({.count = 3, .spacing = 10, .landmarks = 5, .jobs = 1}, folder_,
                     write_and_hash, import::write_labels, [] { raise_stop_flag(15); });
    } catch (const Error& e) {
      ::_exit(e.fault() == Fault::Stopped ? 0 : 2);
    }
    ::_exit(1);
  };
  EXPECT_EXIT(stopped(), testing::ExitedWithCode(0), "");
  EXPECT_TRUE(fs::exists(folder_ / "images/phantom-0000.nii.gz"));
  EXPECT_FALSE(fs::exists(folder_ / "images/phantom-0001.nii.gz"));
  EXPECT_FALSE(fs::exists(folder_ / "landmarks.json"));
}

TEST_F(PhantomSet, ADiskThatFillsUpEndsItWithTheFileNamed) {
  const auto full = [this] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit most{20000, 20000};
    ::setrlimit(RLIMIT_FSIZE, &most);
    try {
      write_phantoms({.count = 2, .spacing = 6, .landmarks = 5, .jobs = 1}, folder_, write_and_hash,
                     import::write_labels, [] {});
    } catch (const Error& e) {
      const std::string what = e.what();
      const bool told = what.find("phantom-0000.nii.gz: no space left") != std::string::npos;
      ::_exit(e.fault() == Fault::Environment && told ? 0 : 2);
    }
    ::_exit(1);
  };
  EXPECT_EXIT(full(), testing::ExitedWithCode(0), "");
  EXPECT_TRUE(fs::is_empty(folder_ / "images"));
}

TEST_F(PhantomSet, RefusesNoBodies) { EXPECT_EQ(fault_of({.count = 0}), Fault::Usage); }

TEST_F(PhantomSet, RefusesNegativeLandmarks) {
  EXPECT_EQ(fault_of({.count = 1, .landmarks = -1}), Fault::Usage);
}

TEST_F(PhantomSet, NamesTheFolderItCannotWrite) {
  std::ofstream(folder_) << "a file where the folder should be";
  try {
    make({.count = 1, .spacing = 10});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::Environment);
    EXPECT_NE(e.summary().find(folder_.string()), std::string::npos);
  }
}

TEST_F(PhantomSet, AFailingWriterEndsTheSetWithItsError) {
  const auto fail = [](const Volume&, const fs::path& file) -> std::string {
    throw Error(Fault::Environment, "disk full: " + file.string());
  };
  EXPECT_THROW(
      write_phantoms({.count = 3, .spacing = 10}, folder_, fail, import::write_labels, [] {}),
      Error);
  EXPECT_FALSE(fs::exists(folder_ / "landmarks.json"));
}

}  // namespace
}  // namespace homolog::phantom
