// homolog store stats: what the pairs are like.
#include "sharding/store/commands/stats.h"

#include <cstdio>

#include "base/options.h"
#include "base/progress.h"
#include "sharding/apps/store/bars.h"
#include "sharding/apps/store/command.h"
#include "sharding/store/store_manifest.h"

namespace homolog::store_app {
namespace {

using Json = nlohmann::ordered_json;

void print_splits(const Json& row) {
  for (const auto& [split, facts] : row["splits"].items()) {
    std::printf("%s: %s pairs, %s studies, %s subjects\n", split.c_str(),
                facts["pairs"].dump().c_str(), facts["studies"].dump().c_str(),
                facts["subjects"].dump().c_str());
    if (facts["pairs"] == 0) continue;
    std::printf(" score: %s\n", range_text(facts["score"], "%.2f").c_str());
    print_bars(facts["score"]["histogram"], "%4.1f");
  }
}

void print_landmarks(const Json& row) {
  std::printf("landmarks: %s; pairs per study: %s\n", row["landmarks"]["count"].dump().c_str(),
              range_text(row["pairs_per_study"], "%.0f").c_str());
  for (const auto& [crops, count] : row["landmarks"]["by_studies"].items())
    std::printf("  seen in %s studies %9s\n", crops.c_str(), count.dump().c_str());
}

void print_bodies(const Json& row) {
  std::printf("body covered by crops, share of its box: %s\n",
              range_text(row["body_covered"], "%.2f").c_str());
  if (row["body_unknown"] != 0)
    std::printf("  %s studies do not tell where their body is\n",
                row["body_unknown"].dump().c_str());
  if (row["body_covered"]["count"] == 0) return;
  std::printf("landmarks' height in the scanned body: 0 its lowest slice, 1 its highest\n");
  print_bars(row["height_in_body"], "%.2f");
}

void print_crops(const Json& row) {
  std::printf("share of a crop beyond its scan: %s\n",
              range_text(row["outside_share"], "%.2f").c_str());
  print_bars(row["outside_share"]["histogram"], "%.1f");
  const Json& w = row["window"];
  const auto percent = [&](const char* key) {
    return number("%.1f %%", 100 * w[key].get<double>());
  };
  std::printf("HU in %s crops: 1 %% below %s, median %s, 99 %% below %s\n",
              w["crops"].dump().c_str(), w["hu_p01"].dump().c_str(), w["hu_median"].dump().c_str(),
              w["hu_p99"].dump().c_str());
  std::printf("window: %s of %s levels used; %s of the voxels at its low end, %s at its high end\n",
              w["levels_used"].dump().c_str(), w["levels"].dump().c_str(),
              percent("share_at_low").c_str(), percent("share_at_high").c_str());
  print_bars(w["histogram"], "%5.0f");
  std::printf("bytes of a shard, share of its crops' decoded bytes: %s\n",
              range_text(row["stored_of_raw"], "%.3f").c_str());
}

}  // namespace

int stats(int argc, char** argv) {
  std::vector<std::string> words;
  bool json = false;
  store::StatsPlan plan;
  Options options("homolog store stats", "STORE",
                  "What the pairs are like: scores, studies per landmark, how much of the bodies "
                  "the crops cover, HU, compression. Reads all tables, and the crops of a sample.");
  options.positional("STORE", words, "the store's folder");
  options.add("sample", plan.sample, "crops whose HU are counted, evenly spread over the store",
              {.min = 1, .max = 1e6});
  options.add("json", json, "report as one JSON line");
  if (!options.parse(argc, argv)) return 0;
  const auto folder = the_store("homolog store stats", words);
  listen_while_reading();
  Progress progress(
      "looking", static_cast<std::int64_t>(store::load_manifest(folder).shards.size()), "shards");
  const Json row = store::stats(folder, plan, [&](std::int64_t n) { progress.advance(n); });
  progress.finish();
  if (json) {
    std::printf("%s\n", row.dump().c_str());
    return 0;
  }
  print_splits(row);
  print_landmarks(row);
  print_bodies(row);
  print_crops(row);
  return 0;
}

}  // namespace homolog::store_app
