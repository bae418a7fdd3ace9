#include "sharding/group_ledger.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "sharding/store_folder.h"

namespace homolog::shard {
namespace fs = std::filesystem;

GroupClaim::GroupClaim(fs::path file, std::string plan_hash)
    : file_(std::move(file)), plan_hash_(std::move(plan_hash)) {
  descriptor_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    throw Error(Fault::Environment, "cannot write " + file_.string() + ": " + std::strerror(errno),
                "check that --out is writable and has space, then run again");
  }
  tell(0);
}

GroupClaim::~GroupClaim() {
  ::close(descriptor_);
  std::error_code ignored;
  fs::remove(file_, ignored);
}

// Of one length, so that it is written over what was there.
void GroupClaim::tell(std::int64_t landmarks) {
  char text[64];
  const int n =
      std::snprintf(text, sizeof text, "%s %012" PRId64 "\n", plan_hash_.c_str(), landmarks);
  [[maybe_unused]] const auto written = ::pwrite(descriptor_, text, static_cast<std::size_t>(n), 0);
}

GroupLedger::GroupLedger(const fs::path& store, std::string plan_hash,
                         std::chrono::seconds patience)
    : store_(store),
      folder_(store / "building"),
      plan_hash_(std::move(plan_hash)),
      patience_(patience) {}

GroupLedger::~GroupLedger() {
  std::error_code ignored;
  fs::remove(folder_, ignored);  // where nothing is in it
}

fs::path GroupLedger::record_of(std::size_t group) const { return folder_ / record_name(group); }

std::optional<GroupResult> GroupLedger::recorded(std::size_t group) const {
  std::ifstream in(record_of(group));
  if (!in) return std::nullopt;
  try {
    const auto json = nlohmann::json::parse(in);
    if (json.at("plan") != plan_hash_) return std::nullopt;
    return group_result_of(json.at("result"));
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;  // not ours, or of another version: the group is looked at again
  }
}

bool GroupLedger::has_shard(const GroupResult& result) const {
  std::error_code absent;
  const auto& shard = result.shard;
  return shard.file.empty() || fs::file_size(store_ / shard.file, absent) == shard.bytes;
}

std::optional<GroupResult> GroupLedger::result(std::size_t group) const {
  auto result = recorded(group);
  return result && has_shard(*result) ? result : std::nullopt;
}

bool GroupLedger::lost(std::size_t group) const {
  const auto result = recorded(group);
  return result && !has_shard(*result);
}

void GroupLedger::record(std::size_t group, const GroupResult& result) const {
  std::error_code ignored;  // the file's own error tells more
  fs::create_directories(folder_, ignored);
  const nlohmann::json json{{"plan", plan_hash_}, {"result", to_json(result)}};
  write_file_atomically(record_of(group), json.dump() + "\n");
}

// Whether nothing was heard of a claim for long. Times of one's own clock: hosts' clocks differ.
bool GroupLedger::silent(const fs::path& file) {
  std::error_code gone;
  const auto changed = fs::last_write_time(file, gone);
  const auto now = std::chrono::steady_clock::now();
  auto [heard, fresh] = heard_.try_emplace(file.filename().string(), Heard{changed, now});
  if (!fresh && heard->second.changed != changed) heard->second = {changed, now};
  return gone || now - heard->second.at > patience_;
}

std::vector<GroupLedger::Other> GroupLedger::others() {
  remove_dead_records(folder_);
  std::vector<Other> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    const auto group = claimed_group(entry.path().filename().string());
    if (!group || silent(entry.path())) continue;
    Other other{*group, entry.path(), "", 0};
    std::ifstream(entry.path()) >> other.plan >> other.landmarks;
    if (!other.plan.empty() && other.plan != plan_hash_) {
      throw Error(Fault::Usage,
                  "another process builds a store of other settings, studies or SAM weights in " +
                      store_.string() + " (" + entry.path().filename().string() + ")",
                  "give both the same options and catalogue, or choose another --out");
    }
    found.push_back(std::move(other));
  }
  return found;
}

// Another process may remove the empty folder meanwhile.
std::unique_ptr<GroupClaim> GroupLedger::new_claim(std::size_t group) const {
  for (int attempt = 0;; ++attempt) {
    std::error_code ignored;
    fs::create_directories(folder_, ignored);
    try {
      return std::make_unique<GroupClaim>(temporary_beside(folder_ / claim_name(group)),
                                          plan_hash_);
    } catch (const Error&) {
      if (attempt == 9 || fs::exists(folder_)) throw;
    }
  }
}

std::unique_ptr<GroupClaim> GroupLedger::claim(std::size_t group) {
  for (const Other& other : others())
    if (other.group == group) return nullptr;
  auto own = new_claim(group);
  // Of two that came at once the one with the lesser name stays.
  for (const Other& other : others())
    if (other.group == group && other.file < own->file()) return nullptr;
  return own;
}

GroupLedger::Sight GroupLedger::look() {
  Sight sight;
  for (const Other& other : others()) {
    sight.landmarks += other.landmarks;
    sight.claimed.insert(other.group);
  }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    if (const auto group = recorded_group(entry.path().filename().string()))
      sight.recorded.insert(*group);
  }
  return sight;
}

void GroupLedger::close() { clear_leftovers(store_); }

}  // namespace homolog::shard
