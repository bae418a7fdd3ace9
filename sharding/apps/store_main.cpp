// homolog store: inspect, verify and bench a pair store, without LibTorch.
// Reports are text, or one JSON line with --json.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/open_files.h"
#include "base/options.h"
#include "base/progress.h"
#include "base/run_main.h"
#include "sharding/store/bench.h"
#include "sharding/store/inspect.h"
#include "sharding/store/verify.h"

namespace homolog {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::vector<std::string> words;
  bool json = false;
  std::string split = "train";
  int threads = 1;
  double seconds = 3;
  std::filesystem::path store() const { return words.at(1); }
};

void print_split(const std::string& split, const Json& facts) {
  std::printf("%-12s %s pairs of %s studies\n", split.c_str(), facts["pairs"].dump().c_str(),
              facts["studies"].dump().c_str());
  const auto bins = facts["score_histogram"].get<std::vector<std::int64_t>>();
  const std::int64_t most = std::max<std::int64_t>(1, *std::max_element(bins.begin(), bins.end()));
  for (std::size_t b = 0; b < bins.size(); ++b) {
    if (bins[b] == 0) continue;
    std::printf("  score %5.1f to %4.1f %8lld %s\n", static_cast<double>(b) / 10 - 1,
                static_cast<double>(b + 1) / 10 - 1, static_cast<long long>(bins[b]),
                std::string(static_cast<std::size_t>(40 * bins[b] / most), '#').c_str());
  }
}

int inspect(const Arguments& a) {
  const Json row = store::inspect(a.store());
  if (a.json) {
    std::printf("%s\n", row.dump().c_str());
    return 0;
  }
  for (const auto& [key, value] : row.items()) {
    if (key != "splits")
      std::printf("%-12s %s\n", key.c_str(),
                  value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
  }
  for (const auto& [split, facts] : row["splits"].items()) print_split(split, facts);
  return 0;
}

int verify(const Arguments& a) {
  Progress progress("verifying", store::load_manifest(a.store()).crops(), "crops");
  const auto result =
      store::verify(a.store(), [&progress](std::int64_t n) { progress.advance(n); });
  progress.finish();
  Json findings = Json::array();
  for (const auto& f : result.findings) {
    findings.push_back({{"shard", f.shard}, {"crop", f.crop}, {"what", f.what}});
    if (!a.json)
      std::printf("%s%s: %s\n", f.shard.c_str(),
                  f.crop < 0 ? "" : (" crop " + std::to_string(f.crop)).c_str(), f.what.c_str());
  }
  const Json row{{"whole", result.findings.empty()},
                 {"shards", result.shards},
                 {"crops", result.crops},
                 {"pairs", result.pairs},
                 {"findings", findings}};
  if (a.json) std::printf("%s\n", row.dump().c_str());
  if (!result.findings.empty()) {
    const auto& f = result.findings.front();
    throw Error(Fault::Data,
                std::to_string(result.findings.size()) +
                    (result.findings.size() == 1 ? " finding: " : " findings; the first: ") +
                    f.shard + (f.crop < 0 ? "" : ", crop " + std::to_string(f.crop)) + ": " +
                    f.what,
                "copy the named shards again, or write the store again with homolog shard");
  }
  if (!a.json)
    std::printf("whole: %lld shards, %lld crops, %lld pairs\n",
                static_cast<long long>(result.shards), static_cast<long long>(result.crops),
                static_cast<long long>(result.pairs));
  return 0;
}

int bench(const Arguments& a) {
  const store::PairStore pairs({a.store(), a.split});
  if (pairs.pairs() == 0)
    throw Error(Fault::Data, "no pairs in split " + a.split, "choose another --split");
  const auto [ours, peer] = store::bench(pairs, a.threads, a.seconds);
  const Json row{
      {"part", "store"},
      {"name", "reader against memcpy, " + std::to_string(a.threads) + " thread(s)"},
      {"ours", ours},
      {"peer", peer},
      {"ratio", ours / peer},
      {"goal", 0.9},
      {"met", ours / peer >= 0.9},
      {"unit", "pairs/s"},
      {"note", "warm; read, decoded, checksum verified; " + std::to_string(pairs.header().crop.x) +
                   "x" + std::to_string(pairs.header().crop.y) + "x" +
                   std::to_string(pairs.header().crop.z)}};
  if (a.json) {
    std::printf("%s\n", row.dump().c_str());
  } else {
    std::printf("%.1f pairs/s with %d thread(s); memcpy of the same pairs %.1f pairs/s\n", ours,
                a.threads, peer);
  }
  return 0;
}

int store_main(int argc, char** argv) {
  Arguments a;
  Options options("homolog store", "inspect | verify | bench STORE",
                  "Look into, check or time a pair store");
  options.positional("COMMAND STORE", a.words, "what to do, and the store's folder");
  options.add("json", a.json, "report as one JSON line");
  options.add("split", a.split, "for bench", {.choices = {"train", "validation"}});
  options.add("threads", a.threads, "for bench", {.min = 1, .max = 1024});
  options.add("seconds", a.seconds, "for bench: how long to measure",
              {.min = 0.1, .max = 3600, .unit = "s"});
  if (!options.parse(argc, argv)) return 0;
  if (a.words.size() != 2)
    throw Error(Fault::Usage, "a command and a store are needed",
                "homolog store inspect | verify | bench STORE");
  if (a.words[0] == "inspect") return inspect(a);
  if (a.words[0] == "verify") return verify(a);
  if (a.words[0] == "bench") return bench(a);
  throw Error(Fault::Usage, "unknown command " + a.words[0],
              "homolog store inspect | verify | bench STORE");
}

}  // namespace
}  // namespace homolog

int main(int argc, char** argv) {
  homolog::allow_many_open_files();
  return homolog::run_main(argc, argv, "homolog store",
                           [&] { return homolog::store_main(argc, argv); });
}
