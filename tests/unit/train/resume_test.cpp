// Claims about where a run goes on, and what it refuses to go on from (P1).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iterator>

#include "run_folder_facts.h"
#include "toy.h"

namespace homolog::train {
namespace {

using toy::parts_for;
using toy::plan_for;
using toy::run;
using toy::Scratch;

TEST(Resume, TakesTheNewestWholeCheckpointAndRefusesDamagedOnes) {  // P1
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.checkpoint.every_steps = 1;
  plan.checkpoint.synchronous = true;
  plan.schedule.validate_every = 0;
  EXPECT_EQ(run(plan, parts_for()), 0);
  const auto folders = list_checkpoints(scratch.path / "checkpoints");
  ASSERT_EQ(folders.size(), 8u);
  fs::resize_file(folders[7] / "model.safetensors", 100);  // truncated
  {
    std::fstream f(folders[6] / "optimizer.safetensors", std::ios::in | std::ios::out);
    f.seekp(900);
    f.put('!');
  }                                               // flipped
  fs::remove(folders[5] / "target.safetensors");  // a file missing
  fs::remove(folders[4] / "manifest.json");       // no manifest
  std::ofstream(folders[3] / "manifest.json") << R"({"kind":"homolog checkpoint","version":99})";
  std::vector<std::string> refused;
  const auto found = newest_checkpoint(scratch.path / "checkpoints", refused);
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->folder, folders[2]);
  ASSERT_EQ(refused.size(), 5u);
  EXPECT_THAT(refused[0], ::testing::HasSubstr("model.safetensors has 100 bytes"));
  EXPECT_THAT(refused[1], ::testing::HasSubstr("optimizer.safetensors does not match its hash"));
  EXPECT_THAT(refused[2], ::testing::HasSubstr("target.safetensors is missing"));
  EXPECT_THAT(refused[3], ::testing::HasSubstr("manifest.json is missing"));
  EXPECT_THAT(refused[4], ::testing::HasSubstr("version 99"));
  plan.resume = "exact";
  EXPECT_EQ(fault_of([&] { run(plan, parts_for()); }), Fault::Data);
  plan.resume = "auto";
  EXPECT_EQ(run(plan, parts_for()), 0);  // goes on from step 3
  EXPECT_EQ(metrics(scratch.path).size(), 8u);
}

TrainingParts failing_at_once() {
  auto parts = parts_for();
  parts.source = [](const Start&) -> std::unique_ptr<Source> {
    throw Error(Fault::Data, "killed before its first save");
  };
  return parts;
}

TEST(Resume, GoingBackLeavesTheLaterBranchAside) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.checkpoint.every_steps = 2;
  plan.checkpoint.keep = 2;
  plan.checkpoint.synchronous = true;
  plan.schedule.validate_every = 0;
  EXPECT_EQ(run(plan, parts_for()), 0);  // 6 and 8 stay
  plan.resume = "exact";
  plan.from = scratch.path / "checkpoints/step-00000006";
  plan.stop_after = 1;
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_THAT(names_in(scratch.path / "checkpoints"),
              ::testing::ElementsAre("abandoned-step-00000008", "step-00000006", "step-00000007"));
  EXPECT_EQ(verify_checkpoint(scratch.path / "checkpoints/abandoned-step-00000008").step, 8);
  plan.resume = "auto";
  plan.from.clear();
  EXPECT_EQ(run(plan, parts_for()), 0);
  EXPECT_EQ(json::parse(std::ifstream(scratch.path / "manifest.json"))["resumed_from_step"], 7);
  plan.resume = "exact";  // again: the name is taken
  plan.from = scratch.path / "checkpoints/step-00000007";
  EXPECT_EQ(run(plan, parts_for()), 0);
  EXPECT_TRUE(fs::exists(scratch.path / "checkpoints/abandoned-step-00000008-2"));
}

TEST(Resume, GoingBackMendsTheBest) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.checkpoint.every_steps = 1;
  EXPECT_EQ(run(plan, parts_for()), 0);  // validates after 4 and 8, each the best so far
  const fs::path best = scratch.path / "checkpoints/best";
  ASSERT_EQ(fs::read_symlink(best), "step-00000008");
  plan.resume = "exact";
  plan.stop_after = 1;
  plan.from = scratch.path / "checkpoints/step-00000005";
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_EQ(fs::read_symlink(best), "step-00000004") << "the best of the branch that stays";
  plan.from = scratch.path / "checkpoints/step-00000002";
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_FALSE(fs::is_symlink(best));
  plan.from.clear();
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_EQ(fs::read_symlink(best), "step-00000004") << "of the new branch";
}

TEST(Resume, GoingBackToAnAbandonedBranchLeavesTheOtherOfThatStepAside) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.checkpoint.every_steps = 2;
  plan.schedule.validate_every = 0;
  EXPECT_EQ(run(plan, parts_for()), 0);
  const fs::path checkpoints = scratch.path / "checkpoints";
  fs::copy(checkpoints / "step-00000006", checkpoints / "abandoned-step-00000006");
  plan.resume = "exact";
  plan.from = checkpoints / "abandoned-step-00000006";
  EXPECT_EQ(fault_of([&] { run(plan, failing_at_once()); }), Fault::Data);
  EXPECT_THAT(names_in(checkpoints),
              ::testing::ElementsAre("abandoned-step-00000006", "abandoned-step-00000006-2",
                                     "abandoned-step-00000008", "step-00000002", "step-00000004"));
  plan.from = checkpoints / "step-00000004/";  // itself, by whatever name, stays
  EXPECT_EQ(fault_of([&] { run(plan, failing_at_once()); }), Fault::Data);
  EXPECT_TRUE(fs::exists(checkpoints / "step-00000004"));
}

TEST(Resume, OnlyTheValidatedWeightsBecomeTheBestAgain) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.checkpoint.every_steps = 1;
  EXPECT_EQ(run(plan, parts_for()), 0);  // validates after 4 and 8; 5 to 7 carry the numbers of 4
  const fs::path checkpoints = scratch.path / "checkpoints";
  fs::remove_all(checkpoints / "step-00000004");
  plan.resume = "exact";
  plan.stop_after = 1;
  plan.from = checkpoints / "step-00000006";
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_FALSE(fs::is_symlink(checkpoints / "best"));
  plan.from.clear();
  EXPECT_EQ(run(plan, parts_for()), 0);
  EXPECT_EQ(fs::read_symlink(checkpoints / "best"), "step-00000008");
}

// A checkpoint as releases wrote it that did not tell the best one's step.
void forget_best_step(const fs::path& checkpoint) {
  json manifest = json::parse(std::ifstream(checkpoint / "manifest.json"));
  EXPECT_EQ(manifest.erase("best_step"), 1u);
  std::ofstream(checkpoint / "manifest.json") << manifest;
}

TEST(Resume, ACheckpointThatDoesNotTellTheBestStepWaitsForTheNextValidation) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.checkpoint.every_steps = 1;
  EXPECT_EQ(run(plan, parts_for()), 0);
  const fs::path checkpoints = scratch.path / "checkpoints";
  forget_best_step(checkpoints / "step-00000006");
  plan.resume = "exact";
  plan.stop_after = 1;
  plan.from = checkpoints / "step-00000006";
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_FALSE(fs::is_symlink(checkpoints / "best"));
}

TEST(Resume, NeverStartsAfreshWhereEveryCheckpointIsDamaged) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 2;
  EXPECT_EQ(run(plan, parts_for()), 75);
  fs::resize_file(last_checkpoint(scratch.path) / "model.safetensors", 100);
  std::string what;
  EXPECT_EQ(fault_of([&] { run(plan, parts_for()); }, &what), Fault::Data);
  EXPECT_THAT(what, ::testing::AllOf(::testing::HasSubstr("step-00000002"),
                                     ::testing::HasSubstr("--resume none --overwrite")));
  EXPECT_EQ(metrics(scratch.path).size(), 2u) << "nothing was removed";
}

// A run with two more settings of its data, as homolog-train declares them.
int run_with_data(TrainingPlan plan, double noise, int threads, int patches) {
  Options options("toy", "", "");
  declare(options, plan);
  options.add("data.noise", noise, "");
  options.add("data.threads", threads, "");
  options.add("data.patches_per_volume", patches, "");
  const std::string run = plan.run.string();
  const char* words[] = {"toy", "--run", run.c_str()};
  options.parse(3, words);
  return run_training(plan, parts_for(), options);
}

TEST(Resume, TellsWhatElseIsDoneToTheDataAndRefusesAnotherOrder) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 1;
  EXPECT_EQ(run_with_data(plan, 0.1, 2, 5), 75);
  EXPECT_EQ(run_with_data(plan, 0.2, 3, 5), 75);
  std::ifstream in(scratch.path / "log-0.jsonl");
  const std::string log((std::istreambuf_iterator<char>(in)), {});
  EXPECT_THAT(log, ::testing::AllOf(::testing::HasSubstr("data.noise"),
                                    ::testing::Not(::testing::HasSubstr("data.threads"))));
  std::string what;
  EXPECT_EQ(fault_of([&] { run_with_data(plan, 0.2, 3, 6); }, &what), Fault::Usage);
  EXPECT_THAT(what, ::testing::HasSubstr("data.patches_per_volume was '5', now it is '6'"));
}

TEST(Resume, RefusesAnotherSeedStoreBatchOrModel) {  // fault table 12
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 2;
  EXPECT_EQ(run(plan, parts_for()), 75);
  std::string what;
  auto other = plan;
  other.seed = 5;
  EXPECT_EQ(fault_of([&] { run(other, parts_for()); }, &what), Fault::Usage);
  EXPECT_THAT(what, ::testing::HasSubstr("data.seed was '123', now it is '5'"));
  other = plan;
  other.batch = 3;
  EXPECT_EQ(fault_of([&] { run(other, parts_for()); }, &what), Fault::Usage);
  EXPECT_THAT(what, ::testing::HasSubstr("global batch"));
  auto parts = parts_for();
  parts.identity["store"] = "another";
  EXPECT_EQ(fault_of([&] { run(plan, parts); }, &what), Fault::Usage);
  EXPECT_THAT(what, ::testing::HasSubstr("the store was 'toy store'"));
  other = plan;
  other.optimizer.name = "sgd";
  EXPECT_EQ(fault_of([&] { run(other, parts_for()); }, &what), Fault::Usage);
  other = plan;
  other.precision = "bf16";
  EXPECT_EQ(fault_of([&] { run(other, parts_for()); }, &what), Fault::Usage);
  EXPECT_THAT(what, ::testing::HasSubstr("cluster.precision was 'float32', now it is 'bf16'"));
}

TEST(Resume, TakesASettingThatAnOlderVersionDidNotKnowForItsDefault) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 2;
  EXPECT_EQ(run(plan, parts_for()), 75);
  const fs::path file = list_checkpoints(scratch.path / "checkpoints").back() / "manifest.json";
  auto manifest = nlohmann::json::parse(std::ifstream(file));
  std::string config = manifest.at("config");
  const std::string line = "precision = float32\n";
  ASSERT_NE(config.find(line), std::string::npos);
  manifest["config"] = config.erase(config.find(line), line.size());
  std::ofstream(file) << manifest.dump();
  EXPECT_EQ(run(plan, parts_for()), 75);
}

TEST(Resume, NoneRefusesAFolderWithCheckpointsUnlessTold) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 2;
  EXPECT_EQ(run(plan, parts_for()), 75);
  plan.resume = "none";
  EXPECT_EQ(fault_of([&] { run(plan, parts_for()); }), Fault::Usage);
  plan.overwrite = true;
  EXPECT_EQ(run(plan, parts_for()), 75);
  EXPECT_EQ(metrics(scratch.path).front()["step"], 0);
}

TEST(Resume, NoticesAStreamThatGoesOnElsewhere) {
  const Scratch scratch;
  auto plan = plan_for(scratch.path);
  plan.stop_after = 2;
  EXPECT_EQ(run(plan, parts_for()), 75);
  auto parts = parts_for();
  parts.source = [](Start start) {
    ++start.cursor.position;
    return std::make_unique<toy::ToySource>(start);
  };
  std::string what;
  EXPECT_EQ(fault_of([&] { run(plan, parts); }, &what), Fault::Data);
  EXPECT_THAT(what, ::testing::HasSubstr("goes on with sample 6, the checkpoint expects 4"));
}

}  // namespace
}  // namespace homolog::train
