// P9 for Alice: N ranks with batch b and accumulation a train as one rank with batch N*b*a, and as
// one rank that accumulates N*b*a single pairs, for every switch of the objective. Whole runs of
// three steps: losses, gradient norms, validation, weights, target and centres.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "cluster/comm/backends.h"
#include "tests/unit/objective/tiny_alice.h"
#include "tests/unit/train/toy.h"
#include "tests/unit/train/toy_pairs.h"
#include "tests/world/world_main.h"
#include "train/replica.h"

namespace {

using namespace homolog;
using namespace homolog::train;
namespace fs = std::filesystem;
namespace tiny = objective::tiny;

constexpr backbone::Size3 kCrop{32, 32, 16};
constexpr std::int64_t kSteps = 3, kStepsPerEpoch = 2;  // so the first epoch ends within

struct Case {
  std::string name;
  tiny::Settings settings;
  std::string clip_mode = "tensor", precision = "float32", network = "nnformer";
  std::int64_t rows = 4;  // of the global batch
  std::string optimizer = "adamw";
  bool recomputes = false;  // blocks, where the batch is cut; the whole one keeps them
};

// How one run cuts the same global batch.
struct Cut {
  std::int64_t batch, accumulate;
  bool recomputes = false;
};

struct Outcome {
  std::vector<nlohmann::json> steps, validations;
  std::map<std::string, torch::Tensor> model, target, centres;
};

TrainingPlan plan_of(const Case& which, const Cut& cut, const fs::path& run) {
  TrainingPlan plan = toy::plan_for(run);
  plan.batch = cut.batch;
  plan.accumulate = cut.accumulate;
  plan.precision = which.precision;
  plan.activation_checkpoint = cut.recomputes;
  plan.optimizer.name = which.optimizer;
  plan.optimizer.clip_mode = which.clip_mode;
  plan.schedule.steps = kSteps;
  plan.schedule.warmup_steps = 0;
  plan.schedule.scale_lr = false;
  plan.schedule.base_lr = 1e-3;
  plan.schedule.ema_from = 0.9;  // the target moves, too
  plan.schedule.ema_to = 0.9;
  plan.schedule.validate_every = which.settings.empty() ? 1 : 0;
  plan.cluster.check_every = 1;
  return plan;
}

void train(const Case& which, const Cut& cut, const fs::path& run, comm::Communicator* ranks) {
  TrainingParts parts;
  parts.program = "alice-world";
  tiny::Settings settings = which.settings;
  if (which.network == "nnformer")
    settings = tiny::joined({"model.nnformer.depths=1,1,1,1"}, settings);
  parts.objective = [&] { return tiny::make(settings, which.network, kCrop); };
  parts.source = [](const Start& start) {
    return std::make_unique<toy::Pairs>(start, kCrop, kStepsPerEpoch);
  };
  EXPECT_EQ(toy::run(plan_of(which, cut, run), parts, ranks), 0);
}

Outcome outcome(const fs::path& run) {
  Outcome out;
  out.steps = metrics(run);
  out.validations = metrics(run, true);
  const fs::path last = list_checkpoints(run / "checkpoints").back();
  out.model = read_tensors(last, "model");
  if (fs::exists(last / "target.safetensors")) out.target = read_tensors(last, "target");
  out.centres = read_tensors(last, "objective");
  return out;
}

// AdamW's first steps are the sign of a gradient times the rate, whatever its size, so weights
// whose gradient is rounding alone may differ by twice the rate a step; the rest agrees. Hence the
// relative distance of each tensor's whole change is compared, not single numbers.
void expect_near(const std::map<std::string, torch::Tensor>& a,
                 const std::map<std::string, torch::Tensor>& b, double relative) {
  ASSERT_EQ(a.size(), b.size());
  double apart = 0, size = 0;
  for (const auto& [name, tensor] : a) {
    apart += (tensor - b.at(name)).to(torch::kDouble).square().sum().item<double>();
    size += tensor.to(torch::kDouble).square().sum().item<double>();
  }
  EXPECT_LE(std::sqrt(apart), relative * std::sqrt(size));
}

void expect_equal(const Outcome& a, const Outcome& b, bool bf16) {
  const double relative = bf16 ? 5e-2 : 1e-3;
  const auto near = [&](const nlohmann::json& x, const nlohmann::json& y, const std::string& what) {
    EXPECT_NEAR(x.get<double>(), y.get<double>(), relative * (1 + std::abs(x.get<double>())))
        << what;
  };
  ASSERT_EQ(a.steps.size(), static_cast<std::size_t>(kSteps));
  ASSERT_EQ(b.steps.size(), a.steps.size());
  for (std::size_t i = 0; i < a.steps.size(); ++i) {
    const std::string at = "step " + std::to_string(i) + " ";
    near(a.steps[i]["total"], b.steps[i]["total"], at + "total");
    near(a.steps[i]["grad_norm"], b.steps[i]["grad_norm"], at + "gradient norm");
    for (const auto& [name, value] : a.steps[i]["terms"].items())
      if (!bf16 || name != "acc") near(value, b.steps[i]["terms"][name], at + name);
  }
  ASSERT_EQ(a.validations.size(), b.validations.size());
  for (std::size_t i = 0; i < a.validations.size(); ++i)
    near(a.validations[i]["validation"]["total"], b.validations[i]["validation"]["total"],
         "validation");
  expect_near(a.model, b.model, bf16 ? 1e-2 : 1e-4);
  expect_near(a.target, b.target, bf16 ? 1e-2 : 1e-4);
  expect_near(a.centres, b.centres, bf16 ? 5e-2 : 1e-3);
}

std::vector<Case> cases() {
  const auto alice = [](const std::string& s) { return "objective.alice." + s; };
  std::vector<Case> out;
  out.push_back({"defaults", {}});
  for (const char* one : {"lambda_inter=0",
                          "lambda_intra=0",
                          "lambda_reconstruction=0",
                          "reconstruction_scale=1",
                          "reconstruction_region=masked",
                          "mask_shape=cube",
                          "mask_ratio=0.5",
                          "target_mask_ratio=0.5",
                          "target_tokens=decoder",
                          "casa_ema=false",
                          "zeta=false",
                          "target_dropout=true",
                          "casa_dropout=0",
                          "target_last=last2",
                          "freeze_last_layer=false",
                          "clip_casa=true",
                          "drop_path_epochs=1",
                          "target_drop_path=true",
                          "intra_start_epoch=1",
                          "head_layers=2",
                          "head_norm=layer",
                          "head_activation=relu",
                          "bottleneck=0",
                          "norm_last_layer=false",
                          "centre_momentum=0.5"}) {
    out.push_back({one, {alice(one)}});
  }
  out.push_back({"inter alone, student whole",
                 {alice("lambda_intra=0"), alice("lambda_reconstruction=0"),
                  alice("mask_student_without_mim=false")}});
  out.push_back({"reconstruction alone", {alice("lambda_inter=0"), alice("lambda_intra=0")}});
  out.push_back({"temperatures",
                 {alice("temperature_epochs=2"), alice("target_temperature_start=0.05"),
                  alice("target_temperature=0.1"), alice("student_temperature=0.2")}});
  out.push_back({"position=fixed", {"model.nnformer.position=fixed"}});
  out.push_back({"rel_index=exact", {"model.nnformer.rel_index=exact"}});
  out.push_back({"drop_path=0", {"model.nnformer.drop_path=0"}});
  out.push_back({"one norm for all", {alice("clip_casa=true")}, "global"});
  out.push_back(
      {"as the reference code",
       {"model.nnformer.position=fixed", alice("target_tokens=decoder"), alice("casa_ema=false"),
        alice("zeta=false"), alice("target_dropout=true"), alice("target_last=last2"),
        alice("drop_path_epochs=1"), alice("target_drop_path=true")}});
  out.push_back({"bf16", {}, "tensor", "bf16"});
  out.push_back(
      {"twice the rows: accumulation at four ranks too", {}, "tensor", "float32", "nnformer", 8});
  for (const char* network : {"nnformer", "unetr"}) {
    out.push_back({std::string(network) + ", blocks recomputed", {}});
    out.back().network = network;
    out.back().recomputes = true;
  }
  // One patch is seen: attention to itself alone has gradients of rounding, which AdamW would blow
  // up to whole steps.
  out.push_back({"masked tokens left out", {}, "tensor", "float32", "vit", 4, "sgd"});
  return out;
}

TEST(AliceWorld, RanksTogetherTrainAsOneRankWithTheirBatchesForEverySwitch) {
  const SharedFolder shared("alice");
  const std::int64_t ranks = world->rank().size;
  const bool first = world->rank().index == 0;
  for (const Case& which : cases()) {
    SCOPED_TRACE(which.name);
    if (first) fs::remove_all(shared.path);
    world->barrier();
    // A local batch of one at four ranks; at two, two pairs, and one in each of two micro batches.
    const std::int64_t rows = which.rows;
    train(which, {rows / ranks, 1, which.recomputes}, shared.path / "ranks", world);
    const bool accumulates = ranks < rows;
    if (accumulates)
      train(which, {1, rows / ranks, which.recomputes}, shared.path / "accumulated", world);
    if (first) {
      const auto solo = comm::make_solo();
      const bool bf16 = which.precision == "bf16";
      train(which, {rows, 1}, shared.path / "whole", solo.get());
      const Outcome whole = outcome(shared.path / "whole");
      expect_equal(whole, outcome(shared.path / "ranks"), bf16);
      if (accumulates) {  // once, not at every number of ranks: alone, and over two ranks
        train(which, {1, rows}, shared.path / "single", solo.get());
        expect_equal(whole, outcome(shared.path / "single"), bf16);
        expect_equal(whole, outcome(shared.path / "accumulated"), bf16);
      }
    }
    world->barrier();
  }
}

TEST(AliceWorld, EverySwitchOfTheObjectiveIsInTheList) {
  Options options("alice", "", "");
  const auto factory = objective::find("alice").factory();
  factory->declare(options);
  std::string listed;
  for (const Case& which : cases())
    for (const auto& setting : which.settings) listed += setting + "\n";
  // Lengths of vectors and of lists of heads, not behaviour; what auto is with nnFormer; norms that
  // are said to take the rows of one rank (as D35 of the deviations).
  const std::set<std::string> left_out = {"hidden=",          "outputs=",     "casa_heads=",
                                          "casa_head_width=", "casa_hidden=", "mask_shape=column",
                                          "head_norm=batch"};
  const auto expect_listed = [&](const std::string& key, const std::string& value) {
    const std::string name = backbone::tiny::last_part(key) + "=" + value;
    if (left_out.contains(name)) return;
    EXPECT_THAT(listed, ::testing::HasSubstr(key + "=" + value)) << "P9 is not checked for it";
  };
  const backbone::tiny::Declared declared = backbone::tiny::declared(options);
  for (const auto& key : options.keys()) {
    const auto values = backbone::tiny::other_values(declared, key);
    for (const std::string& value : values) expect_listed(key, value);
    if (values.empty()) expect_listed(key, "");
  }
}

}  // namespace
