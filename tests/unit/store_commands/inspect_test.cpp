// What `homolog store inspect` says agrees with what the other commands say.
#include "sharding/store/commands/inspect.h"

#include <gtest/gtest.h>

#include "sharding/store/commands/stats.h"
#include "tests/unit/data/synthetic_store.h"
#include "tests/unit/store_commands/temporary_folder.h"

namespace homolog::store {
namespace {

TEST(Inspect, AScoreAtAnEdgeStandsInTheBinThatStatsPutsItIn) {
  const test::TemporaryFolder folder("inspect_bins");
  test::write_synthetic_store(folder.path(), {.crop = {8, 8, 8}});  // every score is 0.9F
  const auto row = inspect(folder.path());
  const auto& bins = row["splits"]["train"]["score_histogram"];
  EXPECT_EQ(bins[19], 8);  // 0.9 to 1.0
  EXPECT_EQ(bins, stats(folder.path(), {})["splits"]["train"]["score"]["histogram"]["counts"]);
}

}  // namespace
}  // namespace homolog::store
