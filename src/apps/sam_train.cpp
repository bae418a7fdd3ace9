#include "apps/sam_train.h"

#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "base/log.h"
#include "objective/objective_entry.h"
#include "sharding/import/content.h"
#include "sharding/import/load.h"
#include "sharding/import/usable.h"
#include "sharding/match/sam_weights.h"
#include "train/patch_source.h"
#include "train/session.h"

namespace homolog {
namespace {

namespace fs = std::filesystem;

struct SamTraining {
  fs::path catalog;
  std::int64_t first = 0;
  data::VolumeStreamPlan stream;
  train::TrainingPlan plan;
  std::unique_ptr<objective::Factory> objective = objective::find("sam").factory();
};

// The first scans as the catalogue counts them, so that evaluation finds the others untouched.
std::vector<import::CatalogEntry> training_scans(const SamTraining& t) {
  auto entries = import::read_catalog(t.catalog);
  if (t.first > 0 && static_cast<std::size_t>(t.first) < entries.size())
    entries.resize(static_cast<std::size_t>(t.first));
  const auto [x, y, z] = t.objective->cell();
  return import::usable(entries, t.stream.view.spacing_mm, {x, y, z}).entries;
}

void write_result(const SamTraining& t, const model::SamNet& net) {
  const fs::path file = t.plan.run / "sam.safetensors";
  const std::string hash = match::write_sam_weights(
      file, match::weights_of(net, t.stream.view.intensity, t.stream.view.spacing_mm));
  log::info("sam written", {{"file", file}, {"hash", hash}});
}

void check(const SamTraining& t) {
  train::check(t.plan);
  [[maybe_unused]] const auto cell = t.objective->cell();
  if (t.plan.schedule.validate_every != 0) {
    throw Error(Fault::Usage,
                "schedule.validate_every is set, but SAM is not validated during training",
                "set it to 0 and use `homolog evaluate landmarks`");
  }
}

void declare(Options& options, SamTraining& t) {
  t.plan.schedule.validate_every = 0;
  options.add("catalog", t.catalog, "catalogue of the volumes", {.required = true});
  options.add("first", t.first,
              "train on the first N volumes alone (the others stay for evaluation); 0: on all",
              {.min = 0});
  t.objective->declare(options);
  data::declare(options, t.stream);
  train::declare(options, t.plan);
  options.leave_to_others({"monitor", "launch"});
}

}  // namespace

int run_sam_train(int argc, char** argv) {
  Options options("homolog sam train",
                  "--catalog C --run DIR --config configs/sam_small.ini [--set KEY=VALUE ...]",
                  "Trains SAM on the volumes of a catalogue; ends by writing DIR/sam.safetensors.");
  SamTraining t;
  declare(options, t);
  const bool trains = options.parse(argc, argv);
  check(t);
  if (!trains) return 0;
  const auto entries = training_scans(t);
  std::shared_ptr<model::SamNet> net;
  int rank = 0;
  train::TrainingParts parts;
  parts.program = "homolog-sam";
  parts.identity = {{"catalog", import::contents_hash(entries)}, {"objective", "sam"}};
  parts.objective = [&] {
    auto made = t.objective->make(*backbone::catalog().front()->factory(), {1, 1, 1});
    // It outlives the engine: its weights are written below.
    net = std::dynamic_pointer_cast<model::SamNet>(made->online().shared_from_this());
    return made;
  };
  parts.source = [&](const train::Start& start) {
    rank = start.rank;
    const auto load = [&entries](std::size_t i) { return import::load_volume(entries.at(i)); };
    return std::make_unique<train::PatchSource>(t.stream, entries.size(), load, start);
  };
  const int code = train::run_training(t.plan, parts, options);
  if (code == 0 && rank == 0) write_result(t, *net);
  return code;
}

}  // namespace homolog
