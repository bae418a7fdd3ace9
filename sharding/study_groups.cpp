// Studies and subjects are ranked by a keyed hash of their id.
// So a study's rank does not depend on the order of the catalogue.
#include "sharding/study_groups.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/hash.h"

namespace homolog::shard {
namespace {

using Studies = std::vector<std::size_t>;

// Indices of `names` in the order of their hash.
Studies ranked(const std::vector<std::string>& names, const std::string& purpose,
               std::uint64_t seed) {
  Studies order(names.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto key = [&](std::size_t i) { return xxh3_64(purpose + names[i], seed); };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return key(a) != key(b) ? key(a) < key(b) : names[a] < names[b];
  });
  return order;
}

// Rounds of studies, each with at most one of a subject, so that any piece of a round is a group.
std::vector<Studies> rounds_of(const std::vector<Member>& members,
                               const std::set<std::string>& subjects, std::uint64_t seed) {
  std::vector<std::string> ids;
  for (const Member& member : members) ids.push_back(member.id);
  std::map<std::string, std::size_t> taken;
  std::vector<Studies> rounds;
  for (const std::size_t study : ranked(ids, "group", seed)) {
    if (!subjects.contains(members[study].subject)) continue;
    const std::size_t round = taken[members[study].subject]++;
    if (round == rounds.size()) rounds.emplace_back();
    rounds[round].push_back(study);
  }
  return rounds;
}

// A study that is alone in its round joins the first group with room and without its subject.
void join(const std::vector<Member>& members, std::size_t study, std::size_t size,
          std::vector<Group>& groups) {
  const auto takes = [&](const Group& group) {
    return group.studies.size() <= size &&
           std::none_of(group.studies.begin(), group.studies.end(), [&](std::size_t s) {
             return members[s].subject == members[study].subject;
           });
  };
  const auto group = std::find_if(groups.begin(), groups.end(), takes);
  if (group != groups.end()) group->studies.push_back(study);
}

std::vector<Group> cut(const std::string& split, const std::vector<Member>& members,
                       const std::vector<Studies>& rounds, std::size_t size) {
  std::vector<Group> groups;
  for (const Studies& round : rounds) {
    if (round.size() == 1) join(members, round.front(), size, groups);
    for (std::size_t at = 0; round.size() > 1 && at < round.size();) {
      std::size_t take = std::min(size, round.size() - at);
      if (round.size() - at - take == 1) ++take;
      const auto from = round.begin() + static_cast<std::ptrdiff_t>(at);
      groups.push_back({split, Studies(from, from + static_cast<std::ptrdiff_t>(take))});
      at += take;
    }
  }
  return groups;
}

}  // namespace

std::vector<Group> make_groups(const std::vector<Member>& members, double validation_share,
                               std::int64_t group_size, std::uint64_t seed) {
  std::set<std::string> names;
  for (const Member& member : members) names.insert(member.subject);
  if (names.size() < 2) {
    throw Error(Fault::Data,
                "no pair possible: the catalogue holds " + std::to_string(members.size()) +
                    " usable CT" + (members.size() > 1 ? " of one patient" : ""),
                "a pair needs scans of two patients: add some and run homolog catalog again");
  }
  const std::vector<std::string> subjects(names.begin(), names.end());
  const auto order = ranked(subjects, "split", seed);
  auto held = std::lround(validation_share * static_cast<double>(order.size()));
  if (held == 1) held = 2;
  if (validation_share <= 0 || held + 2 > std::ssize(order)) held = 0;
  std::set<std::string> train, validation;
  for (std::size_t i = 0; i < order.size(); ++i)
    (i < static_cast<std::size_t>(held) ? validation : train).insert(subjects[order[i]]);
  const auto size = static_cast<std::size_t>(group_size);
  auto groups = cut("train", members, rounds_of(members, train, seed), size);
  const auto kept = cut("validation", members, rounds_of(members, validation, seed), size);
  groups.insert(groups.end(), kept.begin(), kept.end());
  return groups;
}

}  // namespace homolog::shard
