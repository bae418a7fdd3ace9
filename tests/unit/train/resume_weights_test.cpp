// A resumed run goes on from its checkpoint, whatever weights it is given to start from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>

#include "base/ini.h"
#include "run_folder_facts.h"
#include "toy.h"

namespace homolog::train {
namespace {

using toy::parts_for;
using toy::plan_for;
using toy::Scratch;

int run_with_weights(TrainingPlan plan, fs::path weights) {
  Options options("toy", "", "");
  declare(options, plan);
  options.add("model.weights", weights, "");
  const std::string run = plan.run.string();
  const char* words[] = {"toy", "--run", run.c_str()};
  options.parse(3, words);
  return run_training(plan, parts_for(), options);
}

TEST(Resume, SaysThatOtherFirstWeightsAreIgnoredAndRecordsTheTrueOnes) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 1;
  for (const char* given : {"first.pt", "other.pt", ""}) {
    EXPECT_EQ(run_with_weights(plan, given), 75);
    std::ifstream in(scratch.path / "config.ini");
    const std::string record((std::istreambuf_iterator<char>(in)), {});
    EXPECT_EQ(flat_settings(record).at("model.weights"), "first.pt");
    EXPECT_EQ(
        flat_settings(read_manifest(last_checkpoint(scratch.path)).config).at("model.weights"),
        "first.pt");
  }
  std::ifstream in(scratch.path / "log-0.jsonl");
  const std::string log((std::istreambuf_iterator<char>(in)), {});
  EXPECT_THAT(log, ::testing::HasSubstr("model.weights is ignored"));
}

}  // namespace
}  // namespace homolog::train
