// Claims about the recipe's numbers: what would overflow on the way is refused where it is given.
#include <gtest/gtest.h>

#include "base/error.h"
#include "train/session.h"

namespace homolog::train {
namespace {

TEST(TrainingOptions, NumbersThatWouldOverflowAreRefused) {
  for (const char* setting :
       {"data.batch=4294967296", "data.accumulate=4294967296", "cluster.timeout_s=1e30",
        "cluster.bucket_mb=1e300", "data.batch=0"}) {
    TrainingPlan plan;
    Options options("test", "", "");
    declare(options, plan);
    const char* words[] = {"test", "--run", "r", "--set", setting};
    try {
      options.parse(5, words);
      FAIL() << setting << " was accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::Usage) << setting;
    }
  }
}

}  // namespace
}  // namespace homolog::train
