// Which studies train, which validate, and which share landmarks: pure functions of ids and seed.
// A group of studies is what one shard holds, so no pair crosses a shard or a split.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace homolog::shard {

struct Member {
  std::string id, subject;  // of the study; of the patient, whom several studies may show
};

struct Group {
  std::string split;                 // "train" or "validation"
  std::vector<std::size_t> studies;  // indices into the list of members, at least two
};

// Train groups first. The studies of a subject are in one split, and no group holds two of them, so
// no pair shows one patient twice. Splits have at least two subjects or none; a group of one joins
// the group before it. A study that finds no group (one subject has too many) is in none.
// `validation_share`: of the subjects. Throws Fault::Data when fewer than two subjects are there
// ("no pair possible").
std::vector<Group> make_groups(const std::vector<Member>& members, double validation_share,
                               std::int64_t group_size, std::uint64_t seed);

}  // namespace homolog::shard
