// homolog store verify: every byte and every rule of a store.
#include "sharding/store/verify.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/options.h"
#include "base/progress.h"
#include "sharding/apps/store/command.h"
#include "sharding/store/commands/read_stop.h"
#include "sharding/store/store_manifest.h"

namespace homolog::store_app {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const store::VerifyResult& result) {
  Json findings = Json::array();
  for (const auto& f : result.findings)
    findings.push_back({{"shard", f.shard}, {"crop", f.crop}, {"byte", f.byte}, {"what", f.what}});
  return {{"whole", result.findings.empty()},
          {"shards", result.shards},
          {"crops", result.crops},
          {"pairs", result.pairs},
          {"findings", findings}};
}

// No Error: store::verify would take one for a finding.
struct StopAsked {};

store::VerifyResult verify_unless_stopped(const std::filesystem::path& folder) {
  Progress progress("verifying", store::load_manifest(folder).crops(), "crops");
  try {
    auto result = store::verify(folder, [&progress](std::int64_t n) {
      if (stop_signals_received() > 0) throw StopAsked{};
      progress.advance(n);
    });
    progress.finish();
    return result;
  } catch (const StopAsked&) {
    store::stop_reading_if_asked();
    throw;
  }
}

}  // namespace

int verify(int argc, char** argv) {
  std::vector<std::string> words;
  bool json = false;
  Options options("homolog store verify", "STORE",
                  "Reads every crop and compares every checksum, name and bound with FORMAT.md and "
                  "store.json. Ends with 3 when anything differs, naming shard and crop.");
  options.positional("STORE", words, "the store's folder");
  options.add("json", json, "report as one JSON line");
  if (!options.parse(argc, argv)) return 0;
  const auto folder = the_store("homolog store verify", words);
  listen_while_reading();
  const auto result = verify_unless_stopped(folder);
  if (json) {
    std::printf("%s\n", to_json(result).dump().c_str());
  } else {
    for (const auto& f : result.findings)
      std::printf("%s: %s\n", place_of(f).c_str(), f.what.c_str());
  }
  if (!result.findings.empty()) {
    const auto& f = result.findings.front();
    throw Error(Fault::Data,
                std::to_string(result.findings.size()) +
                    (result.findings.size() == 1 ? " finding: " : " findings; the first: ") +
                    place_of(f) + ": " + f.what,
                result.remedy());
  }
  if (!json)
    std::printf("whole: %lld shards, %lld crops, %lld pairs\n",
                static_cast<long long>(result.shards), static_cast<long long>(result.crops),
                static_cast<long long>(result.pairs));
  return 0;
}

}  // namespace homolog::store_app
