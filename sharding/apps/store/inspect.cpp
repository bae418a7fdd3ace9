// homolog store inspect: what a store is.
#include "sharding/store/commands/inspect.h"

#include <cstdio>

#include "base/options.h"
#include "sharding/apps/store/bars.h"
#include "sharding/apps/store/command.h"

namespace homolog::store_app {
namespace {

std::string text(const nlohmann::ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? number("%.2f", value) : value.dump();
}

}  // namespace

int inspect(int argc, char** argv) {
  std::vector<std::string> words;
  bool json = false;
  Options options("homolog store inspect", "STORE",
                  "What a store is: version, crops, window, sizes, the settings it was made with, "
                  "and per split its pairs, studies and scores.");
  options.positional("STORE", words, "the store's folder");
  options.add("json", json, "report as one JSON line");
  if (!options.parse(argc, argv)) return 0;
  const auto row = store::inspect(the_store("homolog store inspect", words));
  if (json) {
    std::printf("%s\n", row.dump().c_str());
    return 0;
  }
  for (const auto& [key, value] : row.items()) {
    if (key != "splits") std::printf("%-12s %s\n", key.c_str(), text(value).c_str());
  }
  for (const auto& [split, facts] : row["splits"].items()) {
    std::printf("%-12s %s pairs of %s studies; by score\n", split.c_str(),
                facts["pairs"].dump().c_str(), facts["studies"].dump().c_str());
    print_bars({{"low", -1}, {"high", 1}, {"counts", facts["score_histogram"]}}, "%4.1f");
  }
  return 0;
}

}  // namespace homolog::store_app
