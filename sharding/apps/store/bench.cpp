// homolog store bench: how fast this store is read on this machine.
#include "sharding/store/commands/bench.h"

#include <cstdio>

#include "base/options.h"
#include "sharding/apps/store/command.h"

namespace homolog::store_app {
namespace {

void print_row(const store::BenchRow& row) {
  const bool met = row.ratio >= row.goal;
  std::printf("%-28s %10.2f %10.2f %7.2f %6.0f %%  %-12s %s\n    %s\n", row.name.c_str(), row.ours,
              row.peer, row.ratio, 100 * row.spread,
              row.goal <= 0 ? "-"
              : met         ? "0.9 met"
                            : "0.9 NOT met",
              row.unit.c_str(), row.note.c_str());
  std::fflush(stdout);
}

}  // namespace

int bench(int argc, char** argv) {
  std::vector<std::string> words;
  bool json = false;
  std::string split = "train";
  std::filesystem::path staged;
  store::BenchPlan plan;
  Options options(
      "homolog store bench", "STORE",
      "Pairs read, decoded and checked, against decoding from memory, against memcpy, and with "
      "--cold against the disk's own speed; in turns, medians, by number of threads.");
  options.positional("STORE", words, "the store's folder");
  options.add("split", split, "whose pairs", {.choices = {"train", "validation"}});
  options.add("staged", staged, "folder of homolog store stage: measure the copies there");
  options.add("threads", plan.threads, "numbers of threads, a measurement each",
              {.min = 1, .max = 1024});
  options.add("seconds", plan.seconds, "how long to measure, for each row",
              {.min = 0.1, .max = 3600, .unit = "s"});
  options.add(
      "cold", plan.cold,
      "measure from the disk too; drops the shards from the page cache, for others as well");
  options.add("json", json, "a JSON line for each row, as ./run bench writes them");
  if (!options.parse(argc, argv)) return 0;
  listen_while_reading();
  const store::PairStore pairs({the_store("homolog store bench", words), split, staged});
  if (!json)
    std::printf("%-28s %10s %10s %7s %8s  %-12s %s\n", "what", "ours", "peer", "ratio", "spread",
                "goal", "unit");
  store::bench(pairs, plan, [json](const store::BenchRow& row) {
    if (json) {
      std::printf("%s\n", store::to_json(row).dump().c_str());
    } else {
      print_row(row);
    }
  });
  return 0;
}

}  // namespace homolog::store_app
