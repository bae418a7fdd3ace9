// A set of pairs small enough to stay in the page cache serves all warm rows.
#include "sharding/store/commands/bench.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#include "base/byte_count.h"
#include "base/error.h"
#include "sharding/store/codec.h"
#include "sharding/store/commands/disk_pass.h"
#include "sharding/store/commands/read_stop.h"
#include "sharding/store/commands/timed_loop.h"

namespace homolog::store {
namespace {

constexpr std::uint64_t kWarmBytes = std::uint64_t{256} << 20;  // compressed, held twice
constexpr std::uint64_t kFewBytes = std::uint64_t{64} << 20;    // too few to tell a disk's speed
constexpr std::int64_t kReadAhead = 16;                         // crops
constexpr double kGoal = 0.9;

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

std::string threads_text(std::int64_t n) {
  return std::to_string(n) + (n == 1 ? " thread" : " threads");
}

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, value < 10 ? "%.2f" : "%.0f", value);
  return text;
}

// What the turns of one row gave.
struct Turns {
  std::vector<double> ours, peer;
  void into(BenchRow& row) const {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < ours.size(); ++i) ratios.push_back(ours[i] / peer[i]);
    row.ours = median(ours);
    row.peer = median(peer);
    row.ratio = median(ratios);
    const auto [low, high] = std::minmax_element(ours.begin(), ours.end());
    row.spread = (*high - *low) / row.ours;
  }
};

class Bench {
 public:
  Bench(const PairStore& pairs, const BenchPlan& plan,
        const std::function<void(const BenchRow&)>& done)
      : pairs_(pairs), plan_(plan), done_(done) {
    if (pairs.pairs() == 0)
      throw Error(Fault::Usage, "this split of the store holds no pairs", "choose another --split");
    for (std::int64_t i = 0; i < pairs.pairs();) {
      shards_.push_back(pairs.at(i).shard);
      files_.push_back(shards_.back()->file());
      i += static_cast<std::int64_t>(shards_.back()->pairs().size());
    }
    choose();
  }

  std::vector<BenchRow> run() {
    for (const std::int64_t threads : plan_.threads) measure_warm(static_cast<int>(threads));
    if (plan_.cold) {
      for (const std::int64_t threads : plan_.threads) measure_cold(static_cast<int>(threads));
    }
    return std::move(rows_);
  }

 private:
  struct WarmPair {
    PairStore::Place at;
    std::vector<std::byte> packed[2];  // query, key
  };

  // Pairs spread over the split, up to kWarmBytes.
  void choose() {
    std::uint64_t bytes = 0;
    const auto bytes_at = [&](std::int64_t i) {
      const auto at = pairs_.at(i);
      return std::uint64_t{at.shard->chunk(at.pair.query).size} + at.shard->chunk(at.pair.key).size;
    };
    const auto fit =
        static_cast<std::int64_t>(kWarmBytes / std::max<std::uint64_t>(1, bytes_at(0)));
    const std::int64_t step =
        std::max<std::int64_t>(1, pairs_.pairs() / std::max<std::int64_t>(1, fit));
    for (std::int64_t i = 0; i < pairs_.pairs() && bytes < kWarmBytes; i += step) {
      bytes += bytes_at(i);
      warm_.push_back({pairs_.at(i), {}});
    }
    for (WarmPair& pair : warm_) {
      stop_reading_if_asked();
      pair.packed[0] = packed_chunk(*pair.at.shard, pair.at.pair.query);
      pair.packed[1] = packed_chunk(*pair.at.shard, pair.at.pair.key);
    }
    packed_per_pair_ = static_cast<double>(bytes) / static_cast<double>(warm_.size());
  }

  static std::vector<std::byte> packed_chunk(const ShardReader& shard, std::int64_t row) {
    std::vector<std::byte> bytes(shard.chunk(row).size);
    std::ifstream in(shard.file(), std::ios::binary);
    in.seekg(static_cast<std::streamoff>(shard.chunk(row).offset));
    in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return bytes;
  }

  const WarmPair& warm(std::int64_t i) const {
    return warm_[static_cast<std::size_t>(i) % warm_.size()];
  }

  double read(int threads, double seconds) const {
    const auto voxels = static_cast<std::size_t>(pairs_.header().voxels());
    return timed_loop(threads, seconds,
                      [&](std::int64_t i, LoopBuffers& b) {
                        const PairStore::Place& at = warm(i).at;
                        b.window.resize(voxels);
                        for (const std::uint32_t row : {at.pair.query, at.pair.key})
                          at.shard->read_window(row, b.window, b.scratch);
                      })
        .per_second();
  }
  double decode(int threads, double seconds) const {
    const auto bytes = static_cast<std::size_t>(pairs_.header().bytes());
    return timed_loop(threads, seconds,
                      [&](std::int64_t i, LoopBuffers& b) {
                        b.scratch.stored.resize(bytes);
                        for (const auto& packed : warm(i).packed) {
                          if (!decompress(packed, b.scratch.stored))
                            throw Error(Fault::Data,
                                        warm(i).at.shard->where(warm(i).at.pair.query) +
                                            " or its key cannot be decompressed",
                                        "run homolog store verify");
                        }
                      })
        .per_second();
  }
  double copy(int threads, double seconds) const {
    const auto voxels = static_cast<std::size_t>(pairs_.header().voxels());
    const std::vector<std::uint16_t> source(voxels, 7);
    return timed_loop(threads, seconds,
                      [&](std::int64_t, LoopBuffers& b) {
                        b.window.resize(voxels);
                        for (int side = 0; side < 2; ++side)
                          std::memcpy(b.window.data(), source.data(), voxels * 2);
                      })
        .per_second();
  }

  void measure_warm(int threads) {
    const double seconds = plan_.seconds / plan_.turns / 2;
    read(threads, seconds);  // the page cache, the threads' buffers
    Turns codec, memory;
    for (int turn = 0; turn < plan_.turns; ++turn) {
      const double ours = read(threads, seconds);
      codec.ours.push_back(ours);
      memory.ours.push_back(ours);
      codec.peer.push_back(decode(threads, seconds));
      memory.peer.push_back(copy(threads, seconds));
    }
    const std::string who = ", " + threads_text(threads) + ", warm";
    BenchRow row{"vs_codec" + who, 0, 0, 0, 0, kGoal, "pairs/s", ""};
    codec.into(row);
    const double decoded = 2.0 * static_cast<double>(pairs_.header().bytes());
    row.note = "read, decoded and checked against Blosc decoding the same chunks from memory; " +
               number(row.ours * decoded / 1e9) + " GB/s decoded, " +
               number(row.ours * packed_per_pair_ / 1e9) + " GB/s compressed" +
               warm_limits(threads);
    add(row);
    row = {"vs_memcpy" + who, 0, 0, 0, 0, 0, "pairs/s", "against memcpy of as many decoded bytes"};
    memory.into(row);
    add(row);
  }

  std::string warm_limits(int threads) const {
    std::string text =
        "; " + std::to_string(warm_.size()) + " of " + std::to_string(pairs_.pairs()) + " pairs";
    if (static_cast<std::int64_t>(warm_.size()) < threads) text += "; fewer pairs than threads";
    return text + cores_limit(threads);
  }
  static std::string cores_limit(int threads) {
    const unsigned cores = std::thread::hardware_concurrency();
    return static_cast<unsigned>(threads) <= cores || cores == 0
               ? ""
               : "; more threads than the " + std::to_string(cores) + " cores";
  }

  struct ColdRead {
    double bytes_per_s = 0, crops_per_s = 0;
  };

  // Each crop once, in the order of the files, with the kernel reading ahead.
  ColdRead read_cold(int threads, double seconds) const {
    std::vector<std::int64_t> first{0};  // first crop of each shard over all
    for (const ShardReader* shard : shards_) first.push_back(first.back() + shard->crops());
    std::atomic<std::uint64_t> bytes{0};
    const auto shard_of = [&](std::int64_t i) {
      return static_cast<std::size_t>(std::upper_bound(first.begin(), first.end(), i) -
                                      first.begin()) -
             1;
    };
    const LoopRate rate = timed_loop(
        threads, seconds,
        [&](std::int64_t i, LoopBuffers& b) {
          const std::size_t s = shard_of(i);
          const ShardReader& shard = *shards_[s];
          const std::int64_t row = i - first[s];
          for (std::int64_t next = row == 0 ? 1 : kReadAhead; next <= kReadAhead; ++next) {
            if (row + next < shard.crops()) shard.will_read(row + next);
          }
          b.window.resize(static_cast<std::size_t>(shard.header().voxels()));
          shard.read_window(row, b.window, b.scratch);
          bytes += shard.chunk(row).size;
        },
        first.back());
    return {static_cast<double>(bytes) / rate.seconds, rate.per_second()};
  }

  void measure_cold(int threads) {
    const double seconds = plan_.seconds / plan_.turns / 2;
    Turns turns;
    double cached = 0, crops = 0;
    bool direct = true;
    for (int turn = 0; turn < plan_.turns; ++turn) {
      cached = std::max(cached, drop_from_cache(files_));
      const DiskRate disk = read_through(files_, seconds);
      direct = direct && disk.direct;
      drop_from_cache(files_);
      const ColdRead ours = read_cold(threads, seconds);
      turns.peer.push_back(disk.per_second() / 1e9);
      turns.ours.push_back(ours.bytes_per_s / 1e9);
      crops = std::max(crops, ours.crops_per_s);
    }
    BenchRow row{"cold_vs_disk, " + threads_text(threads), 0, 0, 0, 0, kGoal, "GB/s", ""};
    turns.into(row);
    row.note =
        "compressed bytes from disk, decoded and checked, against reading the files from "
        "end to end" +
        std::string(direct ? " (O_DIRECT)" : "") + "; up to " + number(crops / 2) + " pairs/s" +
        cold_limits(cached, row) + cores_limit(threads);
    add(row);
  }

  std::string cold_limits(double cached, BenchRow& row) const {
    std::uint64_t bytes = 0;
    for (const auto& file : files_) bytes += std::filesystem::file_size(file);
    std::string text;
    if (bytes < kFewBytes)
      text += "; only " + human_bytes(bytes) + ", too few to tell a disk's speed";
    if (cached > 0.1) {
      text += "; the page cache keeps the files, so this is memory and no disk";
      row.goal = 0;
    }
    return text;
  }

  void add(const BenchRow& row) {
    rows_.push_back(row);
    if (done_) done_(row);
  }

  const PairStore& pairs_;
  const BenchPlan& plan_;
  const std::function<void(const BenchRow&)>& done_;
  std::vector<const ShardReader*> shards_;
  std::vector<std::filesystem::path> files_;
  std::vector<WarmPair> warm_;
  double packed_per_pair_ = 0;  // bytes
  std::vector<BenchRow> rows_;
};

}  // namespace

nlohmann::ordered_json to_json(const BenchRow& row) {
  nlohmann::ordered_json json{{"part", "store"},  {"name", row.name},   {"ours", row.ours},
                              {"peer", row.peer}, {"ratio", row.ratio}, {"spread", row.spread},
                              {"goal", nullptr},  {"met", nullptr},     {"unit", row.unit},
                              {"note", row.note}};
  if (row.goal > 0) {
    json["goal"] = row.goal;
    json["met"] = row.ratio >= row.goal;
  }
  return json;
}

std::vector<BenchRow> bench(const PairStore& pairs, const BenchPlan& plan,
                            const std::function<void(const BenchRow&)>& done) {
  return Bench(pairs, plan, done).run();
}

}  // namespace homolog::store
