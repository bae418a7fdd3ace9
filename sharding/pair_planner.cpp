// Draws in batches: several candidates share one sweep of the key, the first above the threshold
// wins. That is the distribution of drawing one by one (method.md 7.7).
#include "sharding/pair_planner.h"

#include <algorithm>

#include "sharding/landmark_draw.h"

namespace homolog::shard {
namespace {

constexpr std::int64_t kPointsPerSweep = 32, kMostPerDraw = 16;

Point3 point(const Index3& i) {
  return {static_cast<double>(i.x), static_cast<double>(i.y), static_cast<double>(i.z)};
}

}  // namespace

struct PairPlanner::Draw {
  CounterRng rng;
  Index3 voxel{};
  match::Match match{};
  std::int64_t attempts = 0;
  bool accepted = false;
};

// Fills voxel and match of each draw: the first match above the threshold, else the best of all.
void PairPlanner::draw_until_matched(std::size_t anchor, std::size_t partner,
                                     std::vector<Draw>& draws, PlanCounts& counts) {
  const auto volume = studies_.volume(anchor);
  const auto above = static_cast<std::int16_t>(plan_.window_low);
  const auto open = [this](const Draw& d) { return !d.accepted && d.attempts < plan_.attempts; };
  while (const std::int64_t pending = std::count_if(draws.begin(), draws.end(), open)) {
    const std::int64_t each = std::clamp<std::int64_t>(kPointsPerSweep / pending, 1, kMostPerDraw);
    std::vector<Index3> voxels;
    std::vector<Point3> points;
    std::vector<Draw*> owners;
    for (Draw& draw : draws) {
      if (!open(draw)) continue;
      for (std::int64_t i = 0; i < std::min(each, plan_.attempts - draw.attempts); ++i) {
        voxels.push_back(draw_landmark(*volume, above, draw.rng));
        points.push_back(point(voxels.back()));
        owners.push_back(&draw);
      }
    }
    const auto matches = studies_.match(anchor, partner, points);
    for (std::size_t i = 0; i < matches.size(); ++i) {
      Draw& draw = *owners[i];
      if (draw.accepted) continue;
      if (draw.attempts++ == 0 || matches[i].score > draw.match.score) {
        draw.voxel = voxels[i];
        draw.match = matches[i];
      }
      draw.accepted = matches[i].score > plan_.threshold;
      ++counts.draws;
    }
  }
  for (const Draw& draw : draws) counts.fallbacks += !draw.accepted;
}

// found[s][d]: where draw d lies in `study`; the primary partner's match is known already.
void PairPlanner::seek(std::size_t anchor, std::size_t study,
                       const std::vector<std::size_t>& primary, const std::vector<Draw>& draws,
                       std::vector<std::vector<match::Match>>& found) {
  std::vector<Point3> points;
  for (std::size_t d = 0; d < draws.size(); ++d) {
    if (primary[d] != study) points.push_back(point(draws[d].voxel));
  }
  const auto matches =
      points.empty() ? std::vector<match::Match>{} : studies_.match(anchor, study, points);
  std::vector<match::Match> all;
  for (std::size_t d = 0, m = 0; d < draws.size(); ++d)
    all.push_back(primary[d] == study ? draws[d].match : matches[m++]);
  found.push_back(std::move(all));
}

// Landmarks with the pairs of the study they were drawn in.
std::vector<Landmark> PairPlanner::admit(
    std::size_t anchor, const std::vector<std::size_t>& others,
    const std::vector<std::size_t>& primary, const std::vector<Draw>& draws,
    const std::vector<std::vector<match::Match>>& found) const {
  std::vector<Landmark> landmarks(draws.size());
  for (std::size_t d = 0; d < draws.size(); ++d) {
    Landmark& landmark = landmarks[d];
    landmark.crops.push_back({anchor, draws[d].voxel});
    for (std::size_t s = 0; s < others.size(); ++s) {
      const match::Match& m = found[s][d];
      if (m.score <= plan_.threshold && primary[d] != others[s]) continue;
      landmark.pairs.push_back({0, landmark.crops.size(), m.score});
      landmark.pairs.push_back({landmark.crops.size(), 0, m.score});
      landmark.crops.push_back({others[s], m.voxel});
    }
  }
  return landmarks;
}

// Adds the pairs of two studies that both found the landmark.
void PairPlanner::admit_among(const std::vector<std::size_t>& others,
                              const std::vector<std::vector<match::Match>>& found,
                              std::vector<Landmark>& landmarks) const {
  const auto row = [](const Landmark& l, std::size_t study) {
    return static_cast<std::size_t>(
        std::find_if(l.crops.begin(), l.crops.end(),
                     [study](const PlannedCrop& c) { return c.study == study; }) -
        l.crops.begin());
  };
  for (std::size_t s = 0; s < others.size(); ++s) {
    for (std::size_t t = s + 1; t < others.size(); ++t) {
      std::vector<std::size_t> both;
      std::vector<Point3> a, b;
      for (std::size_t d = 0; d < landmarks.size(); ++d) {
        const Landmark& l = landmarks[d];
        if (row(l, others[s]) == l.crops.size() || row(l, others[t]) == l.crops.size()) continue;
        both.push_back(d);
        a.push_back(found[s][d].index);
        b.push_back(found[t][d].index);
      }
      const auto scores =
          both.empty() ? std::vector<double>{} : studies_.similarity(others[s], a, others[t], b);
      for (std::size_t i = 0; i < both.size(); ++i) {
        if (scores[i] <= plan_.threshold) continue;
        Landmark& l = landmarks[both[i]];
        l.pairs.push_back({row(l, others[s]), row(l, others[t]), scores[i]});
        l.pairs.push_back({row(l, others[t]), row(l, others[s]), scores[i]});
      }
    }
  }
}

std::vector<Landmark> PairPlanner::landmarks_of(const Group& group, std::size_t anchor,
                                                PlanCounts& counts) {
  if (!can_draw(studies_.volume(anchor)->grid)) {
    ++counts.small_studies;
    return {};
  }
  std::vector<std::size_t> others;
  std::copy_if(group.studies.begin(), group.studies.end(), std::back_inserter(others),
               [anchor](std::size_t s) { return s != anchor; });
  std::vector<Draw> draws;
  std::vector<std::size_t> primary;
  for (std::size_t j = 0; j < others.size(); ++j) {
    std::vector<Draw> part;
    for (auto slot = static_cast<std::int64_t>(j); slot < plan_.landmarks_per_study;
         slot += static_cast<std::int64_t>(others.size())) {
      part.push_back(
          {CounterRng(plan_.seed, "landmark-" + ids_[anchor], static_cast<std::uint64_t>(slot))});
    }
    draw_until_matched(anchor, others[j], part, counts);
    for (Draw& draw : part) {
      draws.push_back(std::move(draw));
      primary.push_back(others[j]);
    }
  }
  std::vector<std::vector<match::Match>> found;
  for (const std::size_t study : others) seek(anchor, study, primary, draws, found);

  auto landmarks = admit(anchor, others, primary, draws, found);
  admit_among(others, found, landmarks);
  counts.landmarks += static_cast<std::int64_t>(landmarks.size());
  return landmarks;
}

}  // namespace homolog::shard
