// homolog-train: one worker. Puts backbone, objective and store together; train/session.h does the
// rest.
#include <torch/types.h>
#include <torch/utils.h>

#include "apps/choice.h"
#include "base/ini.h"
#include "base/open_files.h"
#include "base/options.h"
#include "base/run_main.h"
#include "train/initial_weights.h"
#include "train/pair_source.h"
#include "train/session.h"

namespace {

using namespace homolog;

constexpr const char* kCommand = "homolog train";

int body(int argc, char** argv) {
  Options options(kCommand, "--config FILE --run DIR [--set KEY=VALUE ...]",
                  "Pre-trains an encoder on a store of landmark-aligned pairs. One worker; homolog "
                  "launch starts several.");
  train::TrainingPlan plan;
  train::PairSourcePlan data;
  Choice choice;
  std::filesystem::path weights;
  const auto backbones = backbone::catalog();
  const auto objectives = objectives_of(kCommand);
  declare(options, choice, backbones, objectives, weights,
          "start from these: of homolog import or export, or .pt; a resumed run ignores them");
  train::declare(options, data);
  train::declare(options, plan);
  options.leave_to_others({"monitor", "launch"});
  const bool trains = options.parse(argc, argv);
  require_trained_by(kCommand, choice.objective);
  train::check(plan);
  if (!trains) return 0;

  const train::PairStoreFacts facts = train::pair_store_facts(data.store);
  const auto& [x, y, z] = facts.crop_xyz;
  train::TrainingParts parts;
  parts.program = "homolog-train";
  parts.identity = {
      {"store", facts.hash},
      {"objective", choice.objective},
      {"backbone", choice.backbone},
      {"window_low_hu", std::to_string(facts.window_low_hu)},
      {"window_high_hu", std::to_string(facts.window_high_hu)},
      {"crop", std::to_string(x) + "x" + std::to_string(y) + "x" + std::to_string(z)}};
  parts.objective = [&] {
    const auto& backbone = Choice::chosen(backbones, choice.backbones, choice.backbone);
    return Choice::chosen(objectives, choice.objectives, choice.objective)
        .make(backbone, facts.crop_xyz);
  };
  if (!weights.empty()) {
    parts.initial_weights = [&](objective::Objective& objective) {
      return train::start_from_weights(
          objective, {weights, choice.backbone, flat_settings(options.dump()), facts.crop_xyz});
    };
  }
  parts.source = [&](const train::Start& start) {
    return std::make_unique<train::PairSource>(data, start);
  };
  return train::run_training(plan, parts, options);
}

}  // namespace

int main(int argc, char** argv) {
  homolog::allow_many_open_files();
  return homolog::run_main(argc, argv, "homolog-train", [&] { return body(argc, argv); });
}
