// Who works on which group, and what became of it: files in STORE/building, seen by every process
// that shares the build, on every node. Results are exact. Claims only spare work: two processes
// with one group write the same bytes, and whoever renames last changes nothing.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sharding/group_result.h"

namespace homolog::shard {

// A group taken by this process. A file under a temporary name (host, pid), so that a dead one's
// is known as such; it goes with the object.
class GroupClaim {
 public:
  GroupClaim(std::filesystem::path file, std::string plan_hash);
  ~GroupClaim();
  GroupClaim(const GroupClaim&) = delete;
  void tell(std::int64_t landmarks);  // done so far: a sign of life, too
  const std::filesystem::path& file() const noexcept { return file_; }

 private:
  std::filesystem::path file_;
  std::string plan_hash_;
  int descriptor_ = -1;
};

class GroupLedger {
 public:
  // A claim of which nothing was heard for `patience` is a dead process's.
  GroupLedger(const std::filesystem::path& store, std::string plan_hash,
              std::chrono::seconds patience = std::chrono::minutes(15));
  ~GroupLedger();  // leaves no empty folder

  // Nothing: not recorded, of another plan, or not whole.
  std::optional<GroupResult> result(std::size_t group) const;
  // Recorded for this plan, but its shard is not there, or of another size.
  bool lost(std::size_t group) const;
  void record(std::size_t group, const GroupResult& result) const;
  // Nothing: a living process has it. Throws Fault::Usage when a living process works in this store
  // with other settings.
  std::unique_ptr<GroupClaim> claim(std::size_t group);

  struct Sight {
    std::set<std::size_t> recorded, claimed;  // groups; claimed: by living processes
    std::int64_t landmarks = 0;               // done in those that are claimed
  };
  Sight look();
  // The store is finished: clear_leftovers().
  void close();

 private:
  struct Other {
    std::size_t group;
    std::filesystem::path file;
    std::string plan;
    std::int64_t landmarks;
  };
  struct Heard {
    std::filesystem::file_time_type changed;
    std::chrono::steady_clock::time_point at;
  };
  std::optional<GroupResult> recorded(std::size_t group) const;  // whatever lies there
  bool has_shard(const GroupResult& result) const;
  std::vector<Other> others();
  bool silent(const std::filesystem::path& file);
  std::filesystem::path record_of(std::size_t group) const;
  std::unique_ptr<GroupClaim> new_claim(std::size_t group) const;

  std::filesystem::path store_, folder_;
  std::string plan_hash_;
  std::chrono::seconds patience_;
  std::map<std::string, Heard> heard_;
};

}  // namespace homolog::shard
