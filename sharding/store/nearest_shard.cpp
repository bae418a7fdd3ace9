// The copy is as good as the original, byte for byte, until one of its crops is not.
#include "sharding/store/nearest_shard.h"

#include "base/log.h"

namespace homolog::store {
namespace {

constexpr const char* kStageAgain = "run homolog store stage again";

void check(const ShardReader& shard, const ShardSaid& said) {
  std::vector<std::string> found = differences(shard, said);
  std::error_code ignored;
  const std::uint64_t bytes = std::filesystem::file_size(shard.file(), ignored);
  if (bytes != said.summary.bytes)
    found.push_back("its size differs from store.json: " + std::to_string(bytes) +
                    " bytes, there " + std::to_string(said.summary.bytes));
  if (found.empty()) return;
  std::string what;
  for (const std::string& one : found) what += (what.empty() ? "" : "; ") + one;
  throw Error(Fault::Data, shard.file().string() + ": " + what,
              "shards of two stores were mixed: copy the store again, or write it again with "
              "homolog shard");
}

// A bad copy does not stop a run.
std::optional<ShardReader> open_copy(const std::filesystem::path& copy, const ShardSaid& said) {
  std::error_code absent;
  if (copy.empty() || std::filesystem::file_size(copy, absent) != said.summary.bytes)
    return std::nullopt;
  try {
    ShardReader shard(copy, ShardReader::Role::StagedCopy);
    check(shard, said);
    return shard;
  } catch (const Error& e) {
    if (e.fault() != Fault::Data) throw;
    log::warn("staged copy left out, the store's own shard is read",
              {{"reason", e.summary()}, {"fix", kStageAgain}});
    return std::nullopt;
  }
}

}  // namespace

NearestShard::NearestShard(std::filesystem::path own, const std::filesystem::path& copy,
                           ShardSaid said, PageCache cache)
    : own_file_(std::move(own)),
      said_(std::move(said)),
      cache_(cache),
      copy_(open_copy(copy, said_)) {
  if (copy_ && cache_ == PageCache::Passed) copy_->pass_page_cache();
  current_ = copy_ ? &*copy_ : &open_own();
}

bool NearestShard::read_window(std::int64_t row, std::span<std::uint16_t> out,
                               ShardReader::Scratch& scratch) const {
  const ShardReader* from = current_;
  try {
    return from->read_window(row, out, scratch);
  } catch (const Error& bad) {
    if (!copy_ || from != &*copy_) throw;
    return read_own(bad, row, out, scratch);
  }
}

// The store is asked before the copy is left: a crop that is bad in both is not the copy's fault.
bool NearestShard::read_own(const Error& bad, std::int64_t row, std::span<std::uint16_t> out,
                            ShardReader::Scratch& scratch) const try {
  const bool waited = open_own().read_window(row, out, scratch);
  leave_copy(bad);
  return waited;
} catch (const Error& too) {
  throw Error(too.fault(), bad.summary() + "; in the store itself " + too.summary(), too.remedy());
}

// Its tables must be the copy's, by which pairs are numbered.
const ShardReader& NearestShard::open_own() const {
  const std::lock_guard lock(mutex_);
  if (own_) return *own_;
  ShardReader own(own_file_);
  check(own, said_);
  if (copy_ && !own.has_tables_of(*copy_))
    throw Error(Fault::Data, own_file_.string() + ": its tables are not those of its staged copy",
                "run homolog store verify, then homolog store stage again");
  if (cache_ == PageCache::Passed) own.pass_page_cache();
  own_.emplace(std::move(own));
  return *own_;
}

void NearestShard::leave_copy(const Error& bad) const {
  const ShardReader* copy = &*copy_;
  if (!current_.compare_exchange_strong(copy, &*own_)) return;  // another thread has
  log::warn("bad staged copy, the store's own shard is read from now on",
            {{"reason", bad.summary()}, {"fix", kStageAgain}});
}

}  // namespace homolog::store
