// Which landmarks a group of studies shares, and which pairs of crops that makes (method.md 2.4).
// A landmark is drawn in one study, sought in the others; each pair is admitted on its own
// similarity.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sharding/shard_plan.h"
#include "sharding/studies.h"
#include "sharding/study_groups.h"

namespace homolog::shard {

struct PlannedCrop {
  std::size_t study;  // index into the list of studies
  Index3 voxel;       // the landmark, in that study's volume
};
struct PlannedPair {
  std::size_t query, key;  // rows of Landmark::crops
  double score;
};
struct Landmark {
  std::vector<PlannedCrop> crops;  // one a study, the study it was drawn in first
  std::vector<PlannedPair> pairs;  // both directions; at least one
};

struct PlanCounts {
  std::int64_t landmarks = 0, draws = 0;
  std::int64_t fallbacks = 0;      // no draw reached the threshold: the best was taken
  std::int64_t small_studies = 0;  // too small for the margin of method.md 2.4
};

class PairPlanner {
 public:
  PairPlanner(const ShardPlan& plan, const std::vector<std::string>& ids, Studies& studies)
      : plan_(plan), ids_(ids), studies_(studies) {}
  // All landmarks drawn in study `anchor` of `group`. A function of plan, ids and studies alone.
  std::vector<Landmark> landmarks_of(const Group& group, std::size_t anchor, PlanCounts& counts);

 private:
  struct Draw;
  void draw_until_matched(std::size_t anchor, std::size_t partner, std::vector<Draw>& draws,
                          PlanCounts& counts);
  void seek(std::size_t anchor, std::size_t study, const std::vector<std::size_t>& primary,
            const std::vector<Draw>& draws, std::vector<std::vector<match::Match>>& found);
  std::vector<Landmark> admit(std::size_t anchor, const std::vector<std::size_t>& others,
                              const std::vector<std::size_t>& primary,
                              const std::vector<Draw>& draws,
                              const std::vector<std::vector<match::Match>>& found) const;
  void admit_among(const std::vector<std::size_t>& others,
                   const std::vector<std::vector<match::Match>>& found,
                   std::vector<Landmark>& landmarks) const;

  const ShardPlan& plan_;
  const std::vector<std::string>& ids_;
  Studies& studies_;
};

}  // namespace homolog::shard
