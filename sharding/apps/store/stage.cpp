// homolog store stage: shards on a disk of this node.
#include "sharding/store/commands/stage.h"

#include <atomic>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/byte_count.h"
#include "base/options.h"
#include "base/progress.h"
#include "base/stop_signal.h"
#include "sharding/apps/store/command.h"

namespace homolog::store_app {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

// The bar counts whole MiB, whatever pieces come.
class MiBProgress {
 public:
  void start(std::uint64_t bytes) {
    bar_ = std::make_unique<Progress>("staging", static_cast<std::int64_t>(bytes / kMiB), "MiB");
  }
  void advance(std::uint64_t bytes) {
    const std::uint64_t before = bytes_.fetch_add(bytes);
    const std::uint64_t whole = (before + bytes) / kMiB - before / kMiB;
    if (whole > 0) bar_->advance(static_cast<std::int64_t>(whole));
  }
  void finish() { bar_.reset(); }

 private:
  std::unique_ptr<Progress> bar_;
  std::atomic<std::uint64_t> bytes_{0};
};

void print(const store::StageResult& r, const std::filesystem::path& to) {
  std::printf("staged %lld of %lld shards, %s of %s (%.0f %%): %lld copied, %lld kept",
              static_cast<long long>(r.staged), static_cast<long long>(r.shards),
              human_bytes(r.staged_bytes).c_str(), human_bytes(r.bytes).c_str(),
              100.0 * static_cast<double>(r.staged_bytes) / static_cast<double>(r.bytes),
              static_cast<long long>(r.copied), static_cast<long long>(r.kept));
  if (r.replaced > 0)
    std::printf(", %lld of them damaged before", static_cast<long long>(r.replaced));
  if (r.dropped > 0)
    std::printf(", %lld beyond the limit removed", static_cast<long long>(r.dropped));
  if (r.pruned > 0) std::printf(", %lld older stores removed", static_cast<long long>(r.pruned));
  std::printf("\nread them with --set data.staged=%s\n", to.c_str());
}

nlohmann::ordered_json to_json(const store::StageResult& r) {
  return {{"folder", r.folder.string()},
          {"shards", r.shards},
          {"staged", r.staged},
          {"copied", r.copied},
          {"kept", r.kept},
          {"replaced", r.replaced},
          {"dropped", r.dropped},
          {"pruned", r.pruned},
          {"bytes", r.bytes},
          {"staged_bytes", r.staged_bytes}};
}

store::StagePlan plan_of(const std::filesystem::path& to, const std::string& limit,
                         const std::string& reserve, int threads, bool prune) {
  store::StagePlan plan;
  plan.to = to;
  if (!limit.empty()) plan.limit = bytes_of("--limit", limit);
  plan.reserve = bytes_of("--reserve", reserve);
  plan.threads = threads;
  plan.prune = prune;
  return plan;
}

}  // namespace

int stage(int argc, char** argv) {
  std::vector<std::string> words;
  std::filesystem::path to;
  std::string limit, reserve = "1GiB";
  int threads = 4;
  bool prune = false, json = false;
  Options options("homolog store stage", "STORE --to DIR",
                  "Copies shards to a disk of this node, as many as fit, each checked against "
                  "store.json; data.staged=DIR reads them there. Run it again to go on after a "
                  "kill: whole copies are kept, damaged ones replaced.");
  options.positional("STORE", words, "the store's folder");
  options.add("to", to, "folder on the node's own disk; the copies come to DIR/<store hash>/",
              {.required = true});
  options.add("limit", limit, "at most so much of the store, as 200GiB (default: what fits)");
  options.add("reserve", reserve, "space left free on that disk");
  options.add("threads", threads, "shards copied at a time", {.min = 1, .max = 64});
  options.add("prune", prune, "remove first what was staged of other stores in DIR");
  options.add("json", json, "report as one JSON line");
  if (!options.parse(argc, argv)) return 0;
  const store::StagePlan plan = plan_of(to, limit, reserve, threads, prune);
  const auto folder = the_store("homolog store stage", words);
  listen_for_stop_signals();
  MiBProgress bar;
  const auto result = store::stage(
      folder, plan,
      {[&bar](std::uint64_t n) { bar.start(n); }, [&bar](std::uint64_t n) { bar.advance(n); },
       [&](const std::string& pid) {
         std::fprintf(stderr, "waiting for process %s, which stages this store to %s\n",
                      pid.c_str(), to.c_str());
       }});
  bar.finish();
  if (json) {
    std::printf("%s\n", to_json(result).dump().c_str());
  } else {
    print(result, to);
  }
  return 0;
}

}  // namespace homolog::store_app
