// Makes one group's shard, or finds that it is there: what a process does between taking a group
// and telling the others that it is done.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sharding/group_result.h"
#include "sharding/studies.h"

namespace homolog::shard {

class GroupBuilder {
 public:
  // All are held by reference. `header`: its split is set by group. `where`: for a stop's message.
  GroupBuilder(const ShardPlan& plan, const std::vector<std::string>& ids, Studies& studies,
               const store::ShardHeader& header, const std::filesystem::path& where)
      : plan_(plan), ids_(ids), studies_(studies), header_(header), where_(where) {}

  // `recorded`: what was told of the group's shard, if anything was. A shard that lies there is
  // kept when it is the recorded one; without a record, when every checksum in it holds.
  // `advanced(n)`: n landmarks more are done. A study that cannot be read is left out; a shard that
  // lacks one which can be read by now is written again, so that a store does not tell when it was
  // interrupted. Throws Fault::Usage: `file` is a shard of other settings; Fault::Environment: disk
  // full; Fault::Stopped: a signal.
  GroupResult finish(const std::filesystem::path& file, const Group& group,
                     const std::optional<GroupResult>& recorded,
                     const std::function<void(std::int64_t)>& advanced);
  // Throws Fault::Usage when a shard of other settings lies there. A damaged one is nobody's.
  void require_own(const std::filesystem::path& file, const Group& group) const;

 private:
  store::ShardHeader header_of(const Group& group) const;
  bool can_be_read(std::size_t study, GroupResult& result);
  std::optional<GroupResult> kept(const std::filesystem::path& file, const Group& group,
                                  const std::optional<GroupResult>& recorded, bool& damaged);
  Group readable(const Group& group, GroupResult& result);
  void stop_if_asked() const;

  const ShardPlan& plan_;
  const std::vector<std::string>& ids_;
  Studies& studies_;
  const store::ShardHeader& header_;
  const std::filesystem::path& where_;
};

}  // namespace homolog::shard
