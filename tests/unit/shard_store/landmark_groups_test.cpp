// How many landmarks a store holds, whoever wrote which of its shards.
#include "sharding/store/landmark_groups.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/unit/data/synthetic_store.h"

namespace homolog::store {
namespace {

namespace fs = std::filesystem;

TEST(LandmarkGroups, AStoresLandmarksAreThoseOfAllItsShardsAndSplits) {
  const fs::path folder =
      fs::temp_directory_path() / ("homolog_landmarks_" + std::to_string(::getpid()));
  const auto manifest = test::write_synthetic_store(folder, {.train = 11, .validation = 3});
  EXPECT_EQ(manifest.shards.size(), 4U);
  EXPECT_EQ(landmarks_of(folder, manifest), 14) << "each synthetic pair shows one of its own";
  fs::remove_all(folder);
}

}  // namespace
}  // namespace homolog::store
