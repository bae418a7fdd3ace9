// What FORMAT.md promises of a shard beyond what ShardReader checks at opening.
#include "sharding/store/verify_shard.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "sharding/store/shard_said.h"
#include "sharding/store/verify_crops.h"
#include "sharding/store/verify_file.h"

namespace homolog::store {
namespace {

std::string numbered(const char* kind, std::size_t row) {
  return std::string(kind) + " " + std::to_string(row) + " ";
}

void check_studies(const ShardToVerify& job) {
  std::set<std::string> seen;
  const auto& studies = job.shard.studies();
  for (std::size_t row = 0; row < studies.size(); ++row) {
    const StudyRecord& s = studies[row];
    if (!seen.insert(s.name()).second)
      job.add(-1, numbered("study", row) + "repeats the id " + s.name());
    const std::array<std::int32_t, 3> unknown{};
    const bool told = s.body_first != unknown || s.body_last != unknown;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (s.grid[axis] < 0) job.add(-1, numbered("study", row) + "has a negative side");
      if (told && (s.body_first[axis] < 0 || s.body_first[axis] > s.body_last[axis] ||
                   s.body_last[axis] >= s.grid[axis])) {
        job.add(-1, numbered("study", row) + "has a body box that is inverted or leaves its grid");
        break;
      }
    }
  }
}

void check_pairs(const ShardToVerify& job, const std::vector<CropRecord>& crops) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::size_t> seen;
  const auto subject = [&](std::uint32_t crop) {
    return job.manifest.subject_of(job.shard.studies()[crops[crop].study].name());
  };
  constexpr float kRounding = 1e-3F;  // of a cosine in float32
  const auto& pairs = job.shard.pairs();
  for (std::size_t row = 0; row < pairs.size(); ++row) {
    const PairRecord& p = pairs[row];
    if (std::abs(p.score) > 1 + kRounding)
      job.add(-1, numbered("pair", row) + "has a score beyond -1..1");
    const auto [first, fresh] = seen.emplace(std::pair(p.query, p.key), row);
    if (!fresh)
      job.add(-1, numbered("pair", row) + "repeats pair " + std::to_string(first->second));
    if (crops[p.query].study == crops[p.key].study) {
      job.add(-1, numbered("pair", row) + "shows one study twice");
    } else if (subject(p.query) == subject(p.key)) {
      job.add(-1, numbered("pair", row) + "shows one subject twice");
    }
  }
}

}  // namespace

void verify_shard(const ShardToVerify& job) {
  for (const std::string& one : differences(job.shard, said_of(job.manifest, job.said)))
    job.add(-1, one);
  check_studies(job);
  verify_file(job);
  const std::vector<CropRecord> crops = job.shard.read_crop_table();
  check_pairs(job, crops);
  verify_crops(job, crops);
}

}  // namespace homolog::store
