// Images, labels and true landmarks of phantoms, in memory and as files (docs/formats/phantom.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "base/options.h"
#include "sharding/phantom/body.h"
#include "sharding/phantom/organ.h"
#include "volume/volume.h"

namespace homolog::phantom {

struct PhantomPlan {
  std::int64_t count = 32;  // bodies
  std::uint64_t seed = 1;
  double spacing = 3;  // mm, isotropic
  double deformation = 0.5;
  std::int64_t landmarks = 600;
  std::int64_t jobs = 2;  // threads, one body each
  bool labels = true;
};
void declare(Options& options, PhantomPlan& plan);

struct Rendered {
  Volume ct;                         // id is the body's
  std::vector<std::uint8_t> labels;  // Organ numbers, [z][y][x]
};
// Deterministic in (body's seed, index, deformation, spacing). Throws Fault::Usage for a spacing
// outside 0.5 to 20 mm.
Rendered render(const Body& body, double spacing_mm);

struct Landmark {
  Point3 at;  // template mm
  Organ organ;
};
// Uniform in the template's interior (no air, no skin), the same for all bodies of a seed.
std::vector<Landmark> draw_landmarks(std::uint64_t seed, std::int64_t count);

// Each landmark's LPS mm in a body; nothing where it lies outside the image.
std::vector<std::optional<Point3>> place_landmarks(const Body& body,
                                                   const std::vector<Landmark>& landmarks);

// Writes one set: OUT/images/ID.nii.gz, OUT/labels/ID.nii.gz, OUT/labels.json,
// OUT/landmarks.json. `on_body` is called after each body, from any thread.
// A volume writer returns the hash of the content, by which a catalogue knows the body again.
using VolumeWriter = std::function<std::string(const Volume&, const std::filesystem::path&)>;
using LabelWriter = std::function<void(const Grid&, const std::vector<std::uint8_t>&,
                                       const std::filesystem::path&)>;
// landmarks.json comes last: a set without it is not complete, and is made anew. Throws
// Fault::Usage: count < 1, landmarks < 0, OUT/images holds a whole set or other files;
// Fault::Environment: a file cannot be written; Fault::Stopped: a signal.
void write_phantoms(const PhantomPlan& plan, const std::filesystem::path& out,
                    const VolumeWriter& write_volume, const LabelWriter& write_labels,
                    const std::function<void()>& on_body);

}  // namespace homolog::phantom
