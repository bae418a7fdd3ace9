// Which studies train, which validate, and which share landmarks: pure functions of ids and seed.
// A group of studies is what one shard holds, so no pair crosses a shard or a split.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace homolog::shard {

struct Group {
  std::string split;                 // "train" or "validation"
  std::vector<std::size_t> studies;  // indices into the list of ids, at least two
};

// Train groups first. Splits have at least two studies or none; a last group of one joins the group
// before it. Throws Fault::Data when fewer than two studies are there ("no pair possible").
std::vector<Group> make_groups(const std::vector<std::string>& ids, double validation_share,
                               std::int64_t partners, std::uint64_t seed);

}  // namespace homolog::shard
