// Under the folder's lock: leftovers go, copies are checked, what is missing is copied in threads.
#include "sharding/store/commands/stage.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/atomic_file.h"
#include "base/byte_count.h"
#include "base/error.h"
#include "base/hash.h"
#include "sharding/store/commands/file_copy.h"
#include "sharding/store/commands/stage_lock.h"
#include "sharding/store/pair_store.h"
#include "sharding/store/store_names.h"

namespace homolog::store {
namespace fs = std::filesystem;

namespace {

// Work on 0..count-1 in threads; the first fault ends all and is thrown.
void in_threads(int threads, std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::exception_ptr fault;
  std::mutex mutex;
  std::vector<std::thread> pool;
  for (std::size_t t = 0; t < std::min(static_cast<std::size_t>(threads), count); ++t) {
    pool.emplace_back([&] {
      try {
        for (std::size_t i; (i = next++) < count;) work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!fault) fault = std::current_exception();
        next = count;
      }
    });
  }
  for (auto& thread : pool) thread.join();
  if (fault) std::rethrow_exception(fault);
}

bool is_stage_folder(const fs::directory_entry& entry) {
  return entry.is_directory() && !entry.is_symlink() &&
         is_hex_id(entry.path().filename().string()) && !fs::exists(entry.path() / kManifestName) &&
         fs::exists(entry.path() / StageLock::kName);
}

// Copies beside a store's own shards would be taken for them, and cleared away with them.
void refuse_stores(const fs::path& folder) {
  if (const fs::path store = store_around(folder); !store.empty())
    throw Error(Fault::Usage, "--to " + folder.string() + " lies in the store " + store.string(),
                "choose a folder outside of every store");
}

// Only folders that a stage has made, known by their lock, and in them only what a stage puts
// there.
std::int64_t prune_others(const fs::path& to, const fs::path& keep) {
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(to)) {
    if (is_stage_folder(entry) && entry.path() != keep && StageLock::is_free(entry.path()))
      others.push_back(entry.path());
  }
  std::int64_t pruned = 0;
  for (const fs::path& folder : others) {
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (is_of_a_shard(name) || name == StageLock::kName) fs::remove(entry.path(), code);
    }
    pruned += fs::remove(folder, code);
  }
  return pruned;
}

class Staging {
 public:
  Staging(const fs::path& store, const StagePlan& plan, const StageProgress& progress)
      : store_(store), plan_(plan), progress_(progress), manifest_(load_manifest(store)) {
    result_.folder = plan.to / hex64(manifest_.hash);
    result_.shards = static_cast<std::int64_t>(manifest_.shards.size());
    result_.bytes = manifest_.bytes();
  }

  StageResult run() {
    refuse_stores(result_.folder);
    make_folder();
    const StageLock lock(result_.folder, progress_.waiting);
    if (plan_.prune) result_.pruned = prune_others(plan_.to, result_.folder);
    remove_leftovers();
    choose();
    const auto advanced = [this](std::uint64_t n) {
      if (progress_.advanced) progress_.advanced(n);
    };
    in_threads(plan_.threads, chosen_.size(), [&](std::size_t i) { bring(*chosen_[i], advanced); });
    result_.staged = result_.copied + result_.kept;
    return result_;
  }

 private:
  fs::path copy_of(const ShardSummary& shard) const {
    return staged_file(plan_.to, manifest_, shard);
  }
  bool is_there(const ShardSummary& shard) const {
    std::error_code absent;
    return fs::file_size(copy_of(shard), absent) == shard.bytes;
  }

  void make_folder() const {
    std::error_code code;
    fs::create_directories(result_.folder, code);
    if (code)
      throw Error(Fault::Environment,
                  "cannot make --to " + result_.folder.string() + ": " + code.message(),
                  "choose a folder on a disk of this node that you may write");
  }

  // With the lock held, whoever wrote under a temporary name is dead.
  void remove_leftovers() const {
    std::vector<fs::path> dead;
    for (const auto& entry : fs::directory_iterator(result_.folder)) {
      const std::string name = entry.path().filename().string();
      if (final_name_of(name) && is_of_a_shard(name)) dead.push_back(entry.path());
    }
    for (const fs::path& file : dead) fs::remove(file);
  }

  // A copy that is there costs no free space, but counts for the limit. Sets the total of the bar.
  void choose() {
    const std::uint64_t available = fs::space(result_.folder).available;
    std::uint64_t free = available > plan_.reserve ? available - plan_.reserve : 0;
    std::uint64_t left = plan_.limit;
    std::vector<fs::path> beyond;
    for (const ShardSummary& shard : manifest_.shards) {
      const std::uint64_t needed = is_there(shard) ? 0 : shard.bytes;
      if (shard.bytes > left || needed > free) {
        beyond.push_back(copy_of(shard));
        continue;
      }
      left -= shard.bytes;
      free -= needed;
      result_.staged_bytes += shard.bytes;
      chosen_.push_back(&shard);
    }
    if (chosen_.empty()) refuse(available);
    for (const fs::path& copy : beyond) result_.dropped += fs::remove(copy);
    if (progress_.started) progress_.started(result_.staged_bytes);
  }

  [[noreturn]] void refuse(std::uint64_t available) const {
    std::uint64_t smallest = manifest_.shards.empty() ? 0 : manifest_.shards.front().bytes;
    for (const ShardSummary& shard : manifest_.shards) smallest = std::min(smallest, shard.bytes);
    std::string what = "no shard fits in " + result_.folder.string() + ": the smallest has " +
                       human_bytes(smallest) + ", " + human_bytes(available) + " are free, " +
                       human_bytes(plan_.reserve) + " of them kept";
    if (plan_.limit < result_.bytes) what += ", the limit is " + human_bytes(plan_.limit);
    throw Error(Fault::Environment, what,
                "give a larger --limit, a smaller --reserve or another disk, or train from the "
                "store itself");
  }

  void bring(const ShardSummary& shard, const BytesDone& advanced) {
    const fs::path copy = copy_of(shard);
    const bool was_there = is_there(shard);
    if (was_there && hash_of_file(copy, advanced) == shard.xxh3) {
      const std::lock_guard lock(mutex_);
      ++result_.kept;
      return;
    }
    if (was_there) fs::remove(copy);  // first: no room may be left for both
    copy_checked(store_ / shard.file, copy, shard.xxh3,
                 was_there ? BytesDone{} : advanced);  // its bytes are counted already
    const std::lock_guard lock(mutex_);
    ++result_.copied;
    result_.replaced += was_there;
  }

  fs::path store_;
  const StagePlan& plan_;
  const StageProgress& progress_;
  StoreManifest manifest_;
  std::vector<const ShardSummary*> chosen_;
  std::mutex mutex_;
  StageResult result_;
};

}  // namespace

StageResult stage(const fs::path& store, const StagePlan& plan, const StageProgress& progress) {
  return Staging(store, plan, progress).run();
}

}  // namespace homolog::store
