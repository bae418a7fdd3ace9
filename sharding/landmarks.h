// How well points are found again: SAM's matching against known homologs, beside what mapping the
// bodies' boxes onto each other gives, also where the target is cut short in z.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sharding/match/embedder.h"
#include "sharding/match/matcher.h"
#include "volume/volume.h"

namespace homolog::landmarks {

// landmarks.json:
// {"version":1,"points":[{"id","organ"}],"bodies":{"phantom-0000":[[x,y,z]|null,...]},
// "content":{"phantom-0000":hash}}; point i of one body is the homolog of point i of any other.
// LPS mm.
struct Truth {
  std::vector<std::string> organs;                                   // per point
  std::map<std::string, std::vector<std::optional<Point3>>> bodies;  // by stem of the image file
  std::map<std::string, std::string> content;  // hash of that image; missing in older files
};
Truth read_truth(const std::filesystem::path& file);  // throws Fault::Data

struct Body {
  std::string name;
  Volume volume;
  std::vector<std::optional<Point3>> points;  // LPS mm
};

struct Score {  // of distances in mm
  std::int64_t points = 0;
  double median = 0, p90 = 0, below_10 = 0, above_30 = 0;  // mm, mm, share, share
};
Score score_of(std::vector<double> distances);

struct Comparison {
  Score sam, box;
  double median_similarity = 0;
};

struct Plan {
  std::int64_t pairs = 12, points = 500;  // ordered pairs of bodies; points of each
  double cut_z_mm = 160;                  // height of the cut target; 0: leave that part out
  std::uint64_t seed = 1;
  match::Mode mode = match::Mode::Refined;
};
struct Result {
  std::int64_t pairs = 0;
  Comparison whole, cut;
};
// `bodies`: held out, at least two (Fault::Usage). `step` is called after each pair.
Result evaluate(const std::vector<Body>& bodies, match::Embedder& embedder, const Plan& plan,
                const std::function<void()>& step);

// The slab of `volume` from layer `first` on, `layers` high.
Volume cut_z(const Volume& volume, std::int64_t first, std::int64_t layers);

}  // namespace homolog::landmarks
