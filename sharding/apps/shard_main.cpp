// homolog shard: catalogue and SAM weights in, pair store out.
// Composes embedder, cache and builder; all rules are in the libraries.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/open_files.h"
#include "base/progress.h"
#include "base/run_main.h"
#include "base/stop_signal.h"
#include "sharding/shard_builder.h"
#include "sharding/study_cache.h"

namespace homolog {
namespace {

struct Arguments {
  std::filesystem::path catalog, sam, out, embeddings;
  bool json = false;
  shard::ShardPlan plan;
};

void report(const store::StoreManifest& m, const shard::BuildCounts& c, const Arguments& a) {
  const double raw = static_cast<double>(m.crops()) * static_cast<double>(m.header.bytes());
  nlohmann::ordered_json row{{"store", a.out.string()},
                             {"hash", hex64(m.hash)},
                             {"pairs_train", m.pairs("train")},
                             {"pairs_validation", m.pairs("validation")},
                             {"crops", m.crops()},
                             {"shards_written", c.written_shards},
                             {"shards_kept", c.kept_shards},
                             {"bytes", m.bytes()},
                             {"compression", m.bytes() ? raw / static_cast<double>(m.bytes()) : 0},
                             {"landmarks", c.plan.landmarks},
                             {"draws", c.plan.draws},
                             {"fallbacks", c.plan.fallbacks},
                             {"warned_crops", c.warned_crops},
                             {"refused_crops", c.refused_crops},
                             {"small_studies", c.plan.small_studies},
                             {"duplicates", c.duplicates},
                             {"studies_left_out", c.left_out.size()},
                             {"left_out", nlohmann::ordered_json::array()}};
  for (const auto& [id, reason] : c.left_out)
    row["left_out"].push_back({{"study", id}, {"reason", reason}});
  if (a.json) {
    std::printf("%s\n", row.dump().c_str());
    return;
  }
  char compression[32];
  std::snprintf(compression, sizeof compression, "%.2f times", row["compression"].get<double>());
  row["compression"] = compression;
  for (const auto& [key, value] : row.items())
    std::printf("%-18s %s\n", key.c_str(),
                value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
}

int shard_main(int argc, char** argv) {
  Arguments a;
  Options options("homolog shard", "--catalog C --sam WEIGHTS --out STORE [--embeddings DIR]",
                  "Match landmarks across studies and store their crops as pairs");
  options.add("catalog", a.catalog, "catalogue from homolog catalog", {.required = true});
  options.add("sam", a.sam, "weights from homolog sam train", {.required = true});
  options.add("out", a.out, "folder of the store; the same command again goes on where it stood",
              {.required = true});
  options.add("embeddings", a.embeddings,
              "folder of homolog sam embed, read where present, written where not");
  options.add("json", a.json, "report as one JSON line");
  declare(options, a.plan);
  if (!options.parse(argc, argv)) return 0;
  shard::validate(a.plan);
  listen_for_stop_signals();
  shard::BuildCounts counts;
  match::Embedder embedder(a.sam);
  const auto found =
      import::usable(import::read_catalog(a.catalog), embedder.spacing_mm(), embedder.cell());
  counts.left_out = found.left_out;
  const auto entries = shard::distinct(found.entries, counts.duplicates);
  if (!a.embeddings.empty()) std::filesystem::create_directories(a.embeddings);
  shard::StudyCache studies(entries, embedder, a.embeddings, a.plan.mode(),
                            static_cast<std::size_t>(a.plan.studies_in_memory),
                            a.plan.match_neighbours);
  shard::ShardBuilder builder(a.plan, entries, studies, embedder.sam_hash(), a.out);
  Progress progress("sharding", builder.total_landmarks(), "landmarks");
  const auto manifest = builder.build(counts, [&progress](std::int64_t n) { progress.advance(n); });
  progress.finish();
  if (counts.plan.fallbacks > 0) {
    log::warn("landmarks taken below the threshold",
              {{"fallbacks", counts.plan.fallbacks}, {"landmarks", counts.plan.landmarks}});
  }
  if (counts.warned_crops > 0)
    log::warn("crops mostly outside the volume", {{"crops", counts.warned_crops}});
  if (counts.refused_crops > 0) log::warn("crops refused", {{"crops", counts.refused_crops}});
  if (manifest.pairs("validation") == 0 && a.plan.validation > 0) {
    log::warn("no pair for validation: too few patients for a share of their own",
              {{"shard.validation", a.plan.validation}});
  }
  report(manifest, counts, a);
  return 0;
}

}  // namespace
}  // namespace homolog

int main(int argc, char** argv) {
  homolog::allow_many_open_files();
  return homolog::run_main(argc, argv, "homolog shard",
                           [&] { return homolog::shard_main(argc, argv); });
}
