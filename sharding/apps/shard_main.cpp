// homolog shard: catalogue and SAM weights in, pair store out.
// Composes embedder, cache and builder; all rules are in the libraries.
#include <ATen/Parallel.h>

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "base/open_files.h"
#include "base/run_main.h"
#include "base/stop_signal.h"
#include "sharding/apps/shard/own_part.h"
#include "sharding/apps/shard/shard_report.h"
#include "sharding/apps/shard/siblings.h"
#include "sharding/match/embedding_folder.h"
#include "sharding/shard_builder.h"
#include "sharding/store/landmark_groups.h"
#include "sharding/store_folder.h"
#include "sharding/study_cache.h"

namespace homolog {
namespace {

struct Arguments {
  std::filesystem::path catalog, sam, out, embeddings;
  std::string part;
  std::int64_t workers = 1;
  bool json = false;
  shard::ShardPlan plan;
};

void declare(Options& options, Arguments& a) {
  options.add("catalog", a.catalog, "catalogue from homolog catalog", {.required = true});
  options.add("sam", a.sam, "weights from homolog sam train", {.required = true});
  options.add("out", a.out, "folder of the store; the same command again goes on where it stood",
              {.required = true});
  options.add("embeddings", a.embeddings,
              "folder of homolog sam embed, read where present, written where not");
  options.add("workers", a.workers, "processes on this machine; they share its cores",
              {.min = 1, .max = 1024});
  options.add("part", a.part,
              "i/n: this is one of n processes with these arguments, 0/4 to 3/4; under mpirun and "
              "srun they find out themselves");
  options.add("json", a.json, "report as one JSON line");
  declare(options, a.plan);
}

void warn(const store::StoreManifest& manifest, const shard::BuildCounts& counts,
          const shard::ShardPlan& plan) {
  if (counts.plan.fallbacks > 0) {
    log::warn("landmarks taken below the threshold",
              {{"fallbacks", counts.plan.fallbacks}, {"landmarks", counts.plan.landmarks}});
  }
  if (counts.crops.warned > 0)
    log::warn("crops mostly outside the volume", {{"crops", counts.crops.warned}});
  if (manifest.pairs("validation") == 0 && plan.validation > 0) {
    log::warn("no pair for validation: too few patients for a share of their own",
              {{"shard.validation", plan.validation}});
  }
}

// Embeddings within the store would be strangers there.
void require_apart(const Arguments& a) {
  if (a.embeddings.empty()) return;
  const auto store = std::filesystem::weakly_canonical(a.out);
  const auto inside = std::filesystem::weakly_canonical(a.embeddings).lexically_relative(store);
  if (inside.empty() || inside.begin()->string() == "..") return;
  throw Error(Fault::Usage, "--embeddings lies in the store of --out",
              "choose a folder of its own for it");
}

// This process and those that it starts on this machine.
struct Team {
  shard::Part outer;  // of all of them among what mpirun, srun or --part says
  std::size_t workers;
  int threads;
  std::vector<std::string> arguments;

  shard::Part own() const { return shard::part_within(outer, 0, workers); }
};

// The others start when all that can be refused early has been, so that it is said once.
void build(const Arguments& a, const Team& team) {
  const bool first = team.own().index == 0;  // it speaks for all
  log::set_terminal_level(first ? "info" : "error");
  shard::BuildCounts counts;
  require_apart(a);
  shard::require_no_strangers(a.out);
  match::Embedder embedder(a.sam);
  auto found =
      import::usable(import::read_catalog(a.catalog), embedder.spacing_mm(), embedder.cell());
  counts.left_out = found.left_out;
  const auto entries = shard::distinct(std::move(found.entries), counts.duplicates);
  if (!a.embeddings.empty()) match::make_embedding_folder(a.embeddings);
  shard::StudyCache studies(entries, embedder, a.embeddings, a.plan.mode(),
                            static_cast<std::size_t>(a.plan.studies_in_memory),
                            a.plan.match_neighbours);
  shard::ShardBuilder builder(a.plan, entries, studies, embedder.sam_hash(), a.out, team.own());
  const auto forecast = builder.forecast();
  if (first) tell_forecast(forecast, a.out);
  shard::require_space(forecast, a.out);
  if (!first) log::set_terminal_level("warn");
  const std::size_t workers = std::min(team.workers, builder.groups());
  if (first && workers < team.workers)
    log::info("fewer workers: a shard is written by one", {{"workers", workers}});
  Siblings siblings(team.arguments, team.outer, workers, team.threads);
  ShardProgress progress(builder.total_landmarks(), a.out);
  const auto manifest = builder.build(counts, [&](const shard::Standing& standing) {
    if (first) progress.show(standing);
  });
  progress.finish();
  siblings.join();
  if (!first) return;
  warn(manifest, counts, a.plan);
  report({manifest, counts, a.out, a.plan.spacing, store::landmarks_of(a.out, manifest)}, a.json);
}

int shard_main(int argc, char** argv) {
  Arguments a;
  Options options("homolog shard", "--catalog C --sam WEIGHTS --out STORE [--embeddings DIR]",
                  "Match landmarks across studies and store their crops as pairs");
  declare(options, a);
  if (!options.parse(argc, argv)) return 0;
  shard::validate(a.plan);
  listen_for_stop_signals();
  const auto environment = topology::process_environment();
  const auto workers = static_cast<std::size_t>(a.workers);
  const Team team{own_part(a.part, environment), workers, threads_each(workers, environment),
                  shared_arguments(argc, argv)};
  at::set_num_threads(team.threads);
  build(a, team);
  return 0;
}

}  // namespace
}  // namespace homolog

int main(int argc, char** argv) {
  homolog::allow_many_open_files();
  return homolog::run_main(argc, argv, "homolog shard",
                           [&] { return homolog::shard_main(argc, argv); });
}
