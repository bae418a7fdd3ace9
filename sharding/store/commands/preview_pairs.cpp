#include "sharding/store/commands/preview_pairs.h"

#include <algorithm>
#include <set>

#include "base/counter_rng.h"
#include "base/error.h"
#include "sharding/store/commands/read_stop.h"

namespace homolog::store {
namespace {

// Floyd's sampling: as many draws as indices, whatever the store's size.
std::set<std::int64_t> draw(std::int64_t wanted, std::int64_t total, std::uint64_t seed) {
  CounterRng rng(seed, "preview", 0);
  std::set<std::int64_t> chosen;
  for (std::int64_t last = total - wanted; last < total; ++last) {
    const auto pick = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(last) + 1));
    if (!chosen.insert(pick).second) chosen.insert(last);
  }
  return chosen;
}

void refuse(std::int64_t held, const PreviewPlan& plan) {
  if (held == 0)
    throw Error(Fault::Usage, "split " + plan.split + " of this store holds no pairs",
                "choose another --split");
  if (held < plan.pairs) {
    throw Error(Fault::Usage,
                "--pairs " + std::to_string(plan.pairs) + ": split " + plan.split + " holds " +
                    std::to_string(held),
                "give --pairs " + std::to_string(held) + " or less");
  }
}

}  // namespace

void read_preview(const PairStore& pairs, const PreviewPlan& plan,
                  const std::function<void(const PreviewPair&)>& take) {
  refuse(pairs.pairs(), plan);
  const ShardReader* open = nullptr;
  std::vector<CropRecord> table;  // of `open`
  ShardReader::Scratch scratch;
  const auto crop = [&](std::uint32_t row) {
    PreviewCrop c{open->studies()[table[row].study].name(), table[row], {}};
    c.window.resize(static_cast<std::size_t>(pairs.header().voxels()));
    open->read_window(row, c.window, scratch);
    return c;
  };
  for (const std::int64_t index : draw(plan.pairs, pairs.pairs(), plan.seed)) {
    stop_reading_if_asked();
    const PairStore::Place at = pairs.at(index);
    if (at.shard != open) {
      open = at.shard;
      table = open->read_crop_table();
    }
    take({pairs.global_index(index), open->file().filename().string(), at.row, at.pair.score,
          crop(at.pair.query), crop(at.pair.key)});
  }
}

}  // namespace homolog::store
