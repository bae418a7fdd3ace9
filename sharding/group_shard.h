// One group's shard while it is written: crops are cut, judged, stored once each, and paired.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sharding/pair_planner.h"
#include "sharding/store/shard_writer.h"
#include "volume/crop.h"

namespace homolog::shard {

struct CropCounts {
  std::int64_t warned = 0;  // more outside the volume than shard.warn_outside
  // Refused: more outside than shard.refuse_outside; no voxel of a body; one value within the
  // window; the voxels of another crop of the shard.
  std::int64_t outside = 0, air = 0, constant = 0, repeated = 0;
  std::int64_t refused() const { return outside + air + constant + repeated; }
  CropCounts& operator+=(const CropCounts& more);
};

class GroupShard {
 public:
  // Throws Fault::Environment: the file cannot be written.
  GroupShard(std::filesystem::path file, const store::ShardHeader& header, const ShardPlan& plan,
             const Group& group, const std::vector<std::string>& ids, Studies& studies);
  void add(const Landmark& landmark);
  const CropCounts& counts() const noexcept { return counts_; }
  // Publishes the shard and names the studies whose crops were refused. Without a pair there is
  // nothing to publish: an empty summary.
  store::ShardSummary seal();

 private:
  using Place = std::array<std::int64_t, 4>;  // row of the study, voxel
  struct Candidate {
    Place place;
    const PlannedCrop* planned;
    std::optional<std::uint32_t> row;  // stored already
    Crop crop;
    std::uint64_t hash = 0;  // of the voxels as stored
    bool refused = false;
  };
  Candidate candidate(const PlannedCrop& planned);
  void judge(Candidate& c);
  bool is_constant(const std::vector<std::int16_t>& hu) const;
  bool repeats(const Candidate& c, const Candidate& other) const;
  void refuse(Candidate& c, std::int64_t CropCounts::*reason);
  std::uint32_t row_of(Candidate& c);

  store::ShardHeader header_;
  const ShardPlan& plan_;
  std::optional<Point3> spacing_mm_;
  const Group& group_;
  const std::vector<std::string>& ids_;
  Studies& studies_;
  store::ShardWriter writer_;
  // A voxel that two landmarks were matched to is one crop. Nothing: it was refused.
  std::map<Place, std::optional<std::uint32_t>> known_;
  std::set<std::uint64_t> hashes_;
  std::set<std::pair<std::uint32_t, std::uint32_t>> pairs_;
  CropCounts counts_;
  std::map<std::size_t, CropCounts> refused_;  // by study
};

}  // namespace homolog::shard
