// The outer loop of homolog shard: take a group that nobody has, finish it, tell the others; the
// process that sees all groups done writes store.json.
#include "sharding/shard_builder.h"

#include <algorithm>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/stop_signal.h"
#include "sharding/store/store_names.h"
#include "sharding/store_folder.h"

namespace homolog::shard {
namespace fs = std::filesystem;
namespace {

constexpr double kShowEvery = 1;  // s: a look at the folder of the others
constexpr auto kPoll = std::chrono::milliseconds(200);
constexpr double kFirstPartsTurn = 3;  // s: who shows the report should see all results

}  // namespace

ShardBuilder::ShardBuilder(ShardPlan plan, const std::vector<import::CatalogEntry>& entries,
                           Studies& studies, const std::string& sam_hash, fs::path out, Part part)
    : plan_(std::move(plan)),
      plan_hash_(plan_hash(plan_, sam_hash, entries)),
      out_(std::move(out)),
      part_(part),
      header_(header_of(plan_, sam_hash, plan_hash_)),
      builder_(plan_, ids_, studies, header_, out_) {
  std::vector<Member> members;
  for (const auto& entry : entries) {
    ids_.push_back(entry.id);
    subjects_.push_back(entry.subject.empty() ? entry.id : entry.subject);
    members.push_back({ids_.back(), subjects_.back()});
  }
  groups_ = make_groups(members, plan_.validation, plan_.studies_per_landmark, plan_.seed);
  results_.resize(groups_.size());
}

std::int64_t ShardBuilder::landmarks_of(std::size_t group) const {
  return std::ssize(groups_[group].studies) * plan_.landmarks_per_study;
}

std::int64_t ShardBuilder::total_landmarks() const {
  std::int64_t sum = 0;
  for (std::size_t g = 0; g < groups_.size(); ++g) sum += landmarks_of(g);
  return sum;
}

fs::path ShardBuilder::file_of(std::size_t group) const {
  return out_ / store::shard_file_name(static_cast<std::int64_t>(group));
}

DiskForecast ShardBuilder::forecast() const {
  DiskForecast sum;
  std::error_code absent;
  for (std::size_t g = 0; g < groups_.size(); ++g)
    if (!fs::exists(file_of(g), absent)) sum += forecast_of(groups_[g], plan_);
  return sum;
}

// What is there already. A record that left studies out is looked at again by the process whose
// part it is: they may be readable by now. A shard of other settings is refused now, not in hours.
void ShardBuilder::take_stock(GroupLedger& ledger) {
  const auto recorded = ledger.look().recorded;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    auto result = recorded.contains(g) ? ledger.result(g) : std::nullopt;
    const bool again = result && !result->left_out.empty() && g % part_.count == part_.index;
    if (!result) builder_.require_own(file_of(g), groups_[g]);
    if (again) look_again_.insert(g);
    if (!result || again) {
      pending_.insert(g);
    } else {
      result->found = true;
      results_[g] = std::move(result);
    }
  }
}

// What other processes have finished meanwhile.
void ShardBuilder::absorb(const GroupLedger::Sight& sight, GroupLedger& ledger) {
  for (const std::size_t g : sight.recorded) {
    if (!pending_.contains(g) || look_again_.contains(g)) continue;
    if (auto result = ledger.result(g)) {
      results_[g] = std::move(result);
      pending_.erase(g);
    }
  }
}

void ShardBuilder::show(GroupLedger& ledger, bool at_once) {
  if (!at_once && since_shown_.seconds() < next_show_) return;
  const auto sight = ledger.look();
  absorb(sight, ledger);
  Standing standing{sight.landmarks, 0, 0};
  std::int64_t measured = 0;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (!results_[g]) continue;
    measured += landmarks_of(g);
    standing.bytes += results_[g]->shard.bytes;
  }
  const std::int64_t total = total_landmarks();
  standing.landmarks = std::min(total, standing.landmarks + measured);
  if (measured > 0) {
    standing.whole_bytes = static_cast<double>(standing.bytes) * static_cast<double>(total) /
                           static_cast<double>(measured);
  }
  shown_(standing);
  next_show_ = since_shown_.seconds() + kShowEvery;
}

// True: this process made or found it.
bool ShardBuilder::finish(std::size_t group, GroupLedger& ledger) {
  const auto claim = ledger.claim(group);
  if (!claim) return false;
  if (fs::exists(out_ / "store.json")) return false;  // and the records are gone
  if (auto done = look_again_.contains(group) ? std::nullopt : ledger.result(group)) {
    results_[group] = std::move(done);
  } else {
    std::int64_t landmarks = 0;
    const auto advanced = [&](std::int64_t n) {
      claim->tell(landmarks += n);
      show(ledger, false);
    };
    const bool lost = ledger.lost(group);
    auto result = builder_.finish(file_of(group), groups_[group], ledger.result(group), advanced);
    result.repaired |= lost && !result.found;
    ledger.record(group, result);
    results_[group] = std::move(result);
  }
  pending_.erase(group);
  look_again_.erase(group);
  return true;
}

// Own part first, so that processes rarely meet; then the others' parts, from the next one on.
bool ShardBuilder::finish_one(GroupLedger& ledger) {
  const auto sight = ledger.look();
  absorb(sight, ledger);
  std::vector<std::size_t> order(pending_.begin(), pending_.end());
  const auto turn = [this](std::size_t g) {
    return (g % part_.count + part_.count - part_.index) % part_.count;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return turn(a) < turn(b); });
  for (const std::size_t g : order) {
    stop_if_asked("finished shards are in " + out_.string(), "run the same command again to go on");
    if (!sight.claimed.contains(g) && finish(g, ledger)) return true;
  }
  return false;
}

store::StoreManifest ShardBuilder::work(BuildCounts& counts) {
  GroupLedger ledger(out_, plan_hash_);
  take_stock(ledger);
  show(ledger, true);
  while (!pending_.empty()) {
    const bool done = finish_one(ledger);
    show(ledger, false);
    if (done) continue;
    if (auto manifest = finished(counts, false)) return *manifest;
    std::this_thread::sleep_for(kPoll);
  }
  for (const Stopwatch wait; part_.index > 0 && wait.seconds() < kFirstPartsTurn;) {
    if (auto manifest = finished(counts, false)) return *manifest;
    std::this_thread::sleep_for(kPoll);
  }
  auto manifest = manifest_of(counts);
  show(ledger, true);
  if (manifest.pairs("train") == 0) refuse_empty(counts);
  store::save_manifest(out_, manifest);
  ledger.close();
  return manifest;
}

store::StoreManifest ShardBuilder::build(BuildCounts& counts,
                                         const std::function<void(const Standing&)>& shown) {
  shown_ = shown;
  std::error_code ec;
  fs::create_directories(out_, ec);
  if (ec)
    throw Error(Fault::Environment, "cannot create " + out_.string() + ": " + ec.message(),
                "choose another --out");
  require_no_strangers(out_);
  remove_dead_files(out_);
  if (auto manifest = finished(counts, true)) {
    if (part_.index == 0) GroupLedger(out_, plan_hash_).close();
    return *manifest;
  }
  name_ungrouped(counts);
  const BuildCounts before = counts;
  try {
    return work(counts);
  } catch (const Error& fault) {
    // Another process took us for dead and finished the store meanwhile.
    if (fault.fault() != Fault::Environment || !fs::exists(out_ / "store.json")) throw;
    counts = before;
    return *finished(counts, false);
  }
}

}  // namespace homolog::shard
