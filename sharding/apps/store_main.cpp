// homolog store: inspect, verify and bench a pair store, without LibTorch.
// Reports are text, or one JSON line with --json.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/options.h"
#include "base/progress.h"
#include "base/run_main.h"
#include "sharding/store/pair_store.h"
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

// Pairs by tenths of their score, from -1 to 1.
std::vector<std::int64_t> histogram(const store::PairStore& pairs) {
  std::vector<std::int64_t> bins(20);
  for (std::int64_t i = 0; i < pairs.pairs(); ++i) {
    const double score = pairs.at(i).pair.score;
    ++bins[static_cast<std::size_t>(std::clamp<double>((score + 1) * 10, 0, 19))];
  }
  return bins;
}

int inspect(const Arguments& a) {
  const store::StoreManifest m = store::load_manifest(a.store());
  const store::ShardHeader& h = m.header;
  const double raw = static_cast<double>(m.crops()) * static_cast<double>(h.bytes());
  Json row{{"store_hash", hex64(m.hash)},
           {"version", store::kFormatVersion},
           {"crop_xyz", {h.crop.x, h.crop.y, h.crop.z}},
           {"margin", h.margin},
           {"encoding", store::encoding_name(h.encoding)},
           {"window_hu", {h.window_low_hu, h.window_high_hu}},
           {"sam_hash", h.sam_hash},
           {"plan_hash", h.plan_hash},
           {"shards", m.shards.size()},
           {"crops", m.crops()},
           {"bytes", m.bytes()},
           {"ratio", m.bytes() ? raw / static_cast<double>(m.bytes()) : 0},
           {"config", m.config}};
  for (const std::string split : {"train", "validation"}) {
    const store::PairStore pairs(a.store(), split);
    const auto studies = m.studies.find(split);
    row["splits"][split] = {{"pairs", pairs.pairs()},
                            {"studies", studies == m.studies.end() ? 0 : studies->second.size()},
                            {"score_histogram", histogram(pairs)}};
  }
  if (a.json) {
    std::printf("%s\n", row.dump().c_str());
    return 0;
  }
  for (const auto& [key, value] : row.items()) {
    if (key != "splits")
      std::printf("%-12s %s\n", key.c_str(),
                  value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
  }
  for (const auto& [split, facts] : row["splits"].items()) {
    std::printf("%-12s %s pairs of %s studies\n", split.c_str(), facts["pairs"].dump().c_str(),
                facts["studies"].dump().c_str());
    const auto bins = facts["score_histogram"].get<std::vector<std::int64_t>>();
    const std::int64_t most =
        std::max<std::int64_t>(1, *std::max_element(bins.begin(), bins.end()));
    for (std::size_t b = 0; b < bins.size(); ++b) {
      if (bins[b] == 0) continue;
      std::printf("  score %5.1f to %4.1f %8lld %s\n", static_cast<double>(b) / 10 - 1,
                  static_cast<double>(b + 1) / 10 - 1, static_cast<long long>(bins[b]),
                  std::string(static_cast<std::size_t>(40 * bins[b] / most), '#').c_str());
    }
  }
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
                std::to_string(result.findings.size()) + " findings; the first: " + f.shard +
                    (f.crop < 0 ? "" : ", crop " + std::to_string(f.crop)) + ": " + f.what,
                "copy the named shards again, or write the store again with homolog shard");
  }
  if (!a.json)
    std::printf("whole: %lld shards, %lld crops, %lld pairs\n",
                static_cast<long long>(result.shards), static_cast<long long>(result.crops),
                static_cast<long long>(result.pairs));
  return 0;
}

// Pairs per second over `seconds`, each thread with its own reused buffers.
double measure(int threads, double seconds,
               const std::function<void(std::int64_t, std::vector<std::uint16_t>&,
                                        std::vector<std::byte>&)>& pair) {
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> pool;
  Stopwatch watch;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      std::vector<std::uint16_t> crop;
      std::vector<std::byte> scratch;
      while (!stop) pair(next++, crop, scratch);
    });
  }
  while (watch.seconds() < seconds) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  stop = true;
  for (auto& thread : pool) thread.join();
  return static_cast<double>(next) / watch.seconds();
}

int bench(const Arguments& a) {
  const store::PairStore pairs(a.store(), a.split);
  if (pairs.pairs() == 0)
    throw Error(Fault::Data, "no pairs in split " + a.split, "choose another --split");
  const auto voxels = static_cast<std::size_t>(pairs.header().voxels());
  const std::vector<std::uint16_t> source(voxels, 7);
  std::atomic<std::uint64_t> read_bytes{0};
  const auto read = [&](std::int64_t i, std::vector<std::uint16_t>& crop,
                        std::vector<std::byte>& scratch) {
    const auto at = pairs.at(i % pairs.pairs());
    crop.resize(voxels);
    for (const std::uint32_t row : {at.pair.query, at.pair.key}) {
      at.shard->read_crop(row, crop, scratch);
      read_bytes += at.shard->packed_bytes(row);
    }
  };
  const auto copy = [&](std::int64_t, std::vector<std::uint16_t>& crop, std::vector<std::byte>&) {
    crop.resize(voxels);
    for (int side = 0; side < 2; ++side) std::memcpy(crop.data(), source.data(), voxels * 2);
  };
  measure(a.threads, a.seconds / 6, read);
  // In turns, the best of three each: other load moves both alike.
  double ours = 0, peer = 0;
  for (int turn = 0; turn < 3; ++turn) {
    ours = std::max(ours, measure(a.threads, a.seconds / 6, read));
    peer = std::max(peer, measure(a.threads, a.seconds / 6, copy));
  }
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
  return homolog::run_main(argc, argv, "homolog store",
                           [&] { return homolog::store_main(argc, argv); });
}
