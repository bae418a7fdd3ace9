#include "sharding/store/commands/inspect.h"

#include "base/hash.h"
#include "sharding/store/commands/distribution.h"
#include "sharding/store/pair_store.h"

namespace homolog::store {
namespace {

Histogram scores_of(const PairStore& pairs) {
  Histogram scores = score_histogram();
  for (std::int64_t i = 0; i < pairs.pairs(); ++i) scores.add(pairs.at(i).pair.score);
  return scores;
}

}  // namespace

nlohmann::ordered_json inspect(const std::filesystem::path& folder) {
  const StoreManifest m = load_manifest(folder);
  const double raw = static_cast<double>(m.crops()) * static_cast<double>(m.header.bytes());
  nlohmann::ordered_json row{{"store_hash", hex64(m.hash)}};
  row.update(header_json(m.header));
  row.update({{"shards", m.shards.size()},
              {"crops", m.crops()},
              {"bytes", m.bytes()},
              {"ratio", m.bytes() ? raw / static_cast<double>(m.bytes()) : 0},
              {"config", m.config}});
  for (const std::string split : {"train", "validation"}) {
    const PairStore pairs({folder, split});
    const auto studies = m.studies.find(split);
    row["splits"][split] = {{"pairs", pairs.pairs()},
                            {"studies", studies == m.studies.end() ? 0 : studies->second.size()},
                            {"score_histogram", scores_of(pairs).counts()}};
  }
  return row;
}

}  // namespace homolog::store
