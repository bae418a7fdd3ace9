#include "sharding/group_shard.h"

#include <algorithm>

#include "base/hash.h"
#include "base/log.h"

namespace homolog::shard {
namespace {

std::array<std::int32_t, 3> narrow(const Index3& i) {
  return {static_cast<std::int32_t>(i.x), static_cast<std::int32_t>(i.y),
          static_cast<std::int32_t>(i.z)};
}

std::vector<store::StudyRecord> records_of(const Group& group, const std::vector<std::string>& ids,
                                           Studies& studies) {
  std::vector<store::StudyRecord> records;
  for (const std::size_t study : group.studies) {
    const auto volume = studies.volume(study);
    const Box body = body_box(*volume);
    store::StudyRecord record = store::StudyRecord::named(ids[study]);
    record.grid = narrow(volume->grid.size);
    record.body_first = narrow(body.low);
    record.body_last = narrow(body.high);
    records.push_back(record);
  }
  return records;
}

}  // namespace

CropCounts& CropCounts::operator+=(const CropCounts& more) {
  warned += more.warned;
  outside += more.outside;
  air += more.air;
  constant += more.constant;
  repeated += more.repeated;
  return *this;
}

GroupShard::GroupShard(std::filesystem::path file, const store::ShardHeader& header,
                       const ShardPlan& plan, const Group& group,
                       const std::vector<std::string>& ids, Studies& studies)
    : header_(header),
      plan_(plan),
      spacing_mm_(plan.spacing_mm()),
      group_(group),
      ids_(ids),
      studies_(studies),
      writer_(std::move(file), header, records_of(group, ids, studies)) {}

// Encoding keeps the order of values: what lies between two HU of one stored value has it, too.
bool GroupShard::is_constant(const std::vector<std::int16_t>& hu) const {
  const auto [low, high] = std::minmax_element(hu.begin(), hu.end());
  store::ShardHeader clipped = header_;  // int16 keeps what lies beyond the window, networks do not
  if (clipped.encoding == store::Encoding::RawI16) clipped.encoding = store::Encoding::ClippedU16;
  const std::array<std::int16_t, 2> ends{*low, *high};
  std::array<std::byte, 4> stored{};
  store::encode(clipped, ends, stored);
  const auto bytes = static_cast<std::ptrdiff_t>(clipped.voxel_bytes());
  return std::equal(stored.begin(), stored.begin() + bytes, stored.begin() + bytes);
}

void GroupShard::refuse(Candidate& c, std::int64_t CropCounts::*reason) {
  ++(counts_.*reason);
  ++(refused_[c.planned->study].*reason);
  known_[c.place] = std::nullopt;
  c.refused = true;
}

void GroupShard::judge(Candidate& c) {
  if (c.crop.outside_share > plan_.refuse_outside) return refuse(c, &CropCounts::outside);
  if (c.crop.body_share == 0) return refuse(c, &CropCounts::air);
  if (is_constant(c.crop.hu)) return refuse(c, &CropCounts::constant);
  std::vector<std::byte> stored(static_cast<std::size_t>(header_.bytes()));
  store::encode(header_, c.crop.hu, stored);
  c.hash = xxh3_64(stored);
}

GroupShard::Candidate GroupShard::candidate(const PlannedCrop& planned) {
  const auto row = std::find(group_.studies.begin(), group_.studies.end(), planned.study) -
                   group_.studies.begin();
  Candidate c{{row, planned.voxel.x, planned.voxel.y, planned.voxel.z}, &planned, {}, {}};
  if (const auto known = known_.find(c.place); known != known_.end()) {
    c.row = known->second;
    c.refused = !c.row;
    return c;
  }
  const auto volume = studies_.volume(planned.study);
  c.crop = spacing_mm_ ? cut(*volume, planned.voxel, header_.crop, *spacing_mm_)
                       : cut(*volume, planned.voxel, header_.crop);
  judge(c);
  return c;
}

bool GroupShard::repeats(const Candidate& c, const Candidate& other) const {
  if (c.refused || c.row) return false;
  return hashes_.contains(c.hash) || (!other.refused && !other.row && c.hash == other.hash);
}

std::uint32_t GroupShard::row_of(Candidate& c) {
  if (c.row) return *c.row;
  const Grid& grid = studies_.volume(c.planned->study)->grid;
  const Point3 world = grid.to_world(c.planned->voxel);
  const Point3 spacing = spacing_mm_.value_or(grid.spacing);
  store::CropRecord record;
  record.study = static_cast<std::uint32_t>(c.place[0]);
  record.voxel = narrow(c.planned->voxel);
  record.centre_lps_mm = {world.x, world.y, world.z};
  record.spacing_mm = {spacing.x, spacing.y, spacing.z};
  record.direction = grid.direction;
  record.outside_share = static_cast<float>(c.crop.outside_share);
  counts_.warned += c.crop.outside_share > plan_.warn_outside;
  hashes_.insert(c.hash);
  c.row = known_[c.place] = writer_.add_crop(record, c.crop.hu);
  return *c.row;
}

// A crop is stored when the first pair that needs it is.
void GroupShard::add(const Landmark& landmark) {
  std::vector<Candidate> candidates;
  for (const PlannedCrop& planned : landmark.crops) candidates.push_back(candidate(planned));
  for (const PlannedPair& pair : landmark.pairs) {
    Candidate &query = candidates[pair.query], &key = candidates[pair.key];
    if (repeats(query, key)) refuse(query, &CropCounts::repeated);
    if (repeats(key, query)) refuse(key, &CropCounts::repeated);
    if (query.refused || key.refused) continue;
    const std::uint32_t from = row_of(query), to = row_of(key);
    if (pairs_.emplace(from, to).second)
      writer_.add_pair({from, to, static_cast<float>(pair.score)});
  }
}

store::ShardSummary GroupShard::seal() {
  for (const auto& [study, n] : refused_) {
    log::warn("crops refused", {{"study", ids_[study]},
                                {"outside", n.outside},
                                {"air", n.air},
                                {"constant", n.constant},
                                {"repeated", n.repeated}});
  }
  return writer_.pairs() == 0 ? store::ShardSummary{} : writer_.seal();
}

}  // namespace homolog::shard
