// homolog store preview: pairs to look at.
#include "sharding/store/commands/preview.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/options.h"
#include "sharding/apps/store/command.h"

namespace homolog::store_app {

int preview(int argc, char** argv) {
  std::vector<std::string> words;
  bool json = false;
  store::PreviewPlan plan;
  std::filesystem::path out;
  Options options("homolog store preview", "STORE --out pairs.html | pairs.png",
                  "Query beside key in three planes through the landmark, score and pseudonyms "
                  "beneath: one PNG, or one HTML page that needs no network.");
  options.positional("STORE", words, "the store's folder");
  options.add("out", out, "file to write, .html or .png", {.required = true});
  options.add("pairs", plan.pairs,
              "how many, up to 64 in a PNG; where it is not given, all if there are fewer",
              {.min = 1, .max = 500});
  options.add("split", plan.split, "whose pairs", {.choices = {"train", "validation"}});
  options.add("seed", plan.seed, "another seed shows other pairs");
  options.add("json", json, "report as one JSON line");
  if (!options.parse(argc, argv)) return 0;
  store::check_preview(plan, out);
  require_writable("--out", out, "pairs.html");
  listen_while_reading();
  const store::PairStore pairs({the_store("homolog store preview", words), plan.split});
  if (!options.was_set("pairs")) plan.pairs = std::min(plan.pairs, pairs.pairs());
  store::write_preview(pairs, plan, out);
  if (json) {
    const nlohmann::ordered_json row{
        {"file", out.string()}, {"pairs", plan.pairs}, {"bytes", std::filesystem::file_size(out)}};
    std::printf("%s\n", row.dump().c_str());
  } else {
    std::printf("%lld of %lld %s pairs in %s\n", static_cast<long long>(plan.pairs),
                static_cast<long long>(pairs.pairs()), plan.split.c_str(), out.c_str());
  }
  return 0;
}

}  // namespace homolog::store_app
