// Studies are ranked by a keyed hash of their id.
// So a study's rank does not depend on the order of the catalogue.
#include "sharding/study_groups.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"

namespace homolog::shard {
namespace {

std::vector<std::size_t> ranked(const std::vector<std::string>& ids, std::vector<std::size_t> which,
                                const std::string& purpose, std::uint64_t seed) {
  const auto key = [&](std::size_t i) { return xxh3_64(purpose + ids[i], seed); };
  std::sort(which.begin(), which.end(), [&](std::size_t a, std::size_t b) {
    return key(a) != key(b) ? key(a) < key(b) : ids[a] < ids[b];
  });
  return which;
}

void cut(const std::string& split, const std::vector<std::size_t>& studies, std::size_t size,
         std::vector<Group>& out) {
  for (std::size_t at = 0; at < studies.size();) {
    std::size_t take = std::min(size, studies.size() - at);
    if (studies.size() - at - take == 1) ++take;
    const auto from = studies.begin() + static_cast<std::ptrdiff_t>(at);
    out.push_back(
        {split, std::vector<std::size_t>(from, from + static_cast<std::ptrdiff_t>(take))});
    at += take;
  }
}

}  // namespace

std::vector<Group> make_groups(const std::vector<std::string>& ids, double validation_share,
                               std::int64_t partners, std::uint64_t seed) {
  if (ids.size() < 2) {
    throw Error(
        Fault::Data,
        "no pair possible: the catalogue holds " + std::to_string(ids.size()) + " usable CT",
        "a pair needs two studies: add scans and run homolog catalog again");
  }
  std::vector<std::size_t> all(ids.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  all = ranked(ids, std::move(all), "split", seed);
  auto held =
      static_cast<std::size_t>(std::lround(validation_share * static_cast<double>(ids.size())));
  if (held == 1) held = 2;
  if (validation_share <= 0 || held + 2 > ids.size()) held = 0;
  const auto border = all.begin() + static_cast<std::ptrdiff_t>(held);
  std::vector<Group> groups;
  const auto size = static_cast<std::size_t>(partners);
  cut("train", ranked(ids, {border, all.end()}, "group", seed), size, groups);
  cut("validation", ranked(ids, {all.begin(), border}, "group", seed), size, groups);
  return groups;
}

}  // namespace homolog::shard
