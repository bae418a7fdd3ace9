// A store checked shard by shard; one broken shard does not hide the next.
// Names of stray files and attributes are never repeated: they may hold what must not be shown.
#include "sharding/store/verify.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "sharding/store/shard_reader.h"
#include "sharding/store/store_manifest.h"

namespace homolog::store {
namespace {

bool is_beyond_window(const ShardHeader& h, const std::vector<std::byte>& stored) {
  if (h.encoding == Encoding::RawI16) return false;
  if (h.encoding == Encoding::SteppedU8) {
    return h.window_width() < 255 &&
           std::to_integer<int>(*std::max_element(stored.begin(), stored.end())) > h.window_width();
  }
  const auto* values = reinterpret_cast<const std::uint16_t*>(stored.data());
  return *std::max_element(values, values + h.voxels()) > h.window_width();
}

class Verifier {
 public:
  Verifier(const std::filesystem::path& folder, const std::function<void(std::int64_t)>& advanced)
      : folder_(folder), advanced_(advanced), manifest_(load_manifest(folder)) {}

  VerifyResult run() {
    check_splits();
    check_files();
    for (const ShardSummary& said : manifest_.shards) {
      try {
        check_shard(said);
      } catch (const Error& e) {
        add(said.file, -1, e.summary());
      }
    }
    return std::move(result_);
  }

 private:
  void add(const std::string& shard, std::int64_t crop, const std::string& what) {
    result_.findings.push_back({shard, crop, what});
  }

  void check_splits() {
    std::map<std::string, std::string> split_of, split_of_subject;
    for (const auto& [split, ids] : manifest_.studies) {
      for (const std::string& id : ids) {
        if (!is_hex_id(id))
          add("store.json", -1, "a study id that is no pseudonym in split " + split);
        const auto [at, fresh] = split_of.emplace(id, split);
        if (!fresh && at->second != split)
          add("store.json", -1, "study " + id + " is in two splits");
        const std::string& subject = manifest_.subject_of(id);
        const auto [first, unseen] = split_of_subject.emplace(subject, split);
        if (!unseen && first->second != split)
          add("store.json", -1, "subject " + subject + " is in two splits");
      }
    }
    studies_ = std::move(split_of);
  }

  void check_files() {
    std::set<std::string> listed{"store.json"};
    for (const auto& s : manifest_.shards) listed.insert(s.file);
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      // The name is not shown: a stray file may bear a patient's.
      if (!listed.contains(entry.path().filename().string()))
        add("store.json", -1, "a file lies in the store that is not listed");
    }
  }

  void check_shard(const ShardSummary& said) {
    const auto file = folder_ / said.file;
    const ShardReader shard(file);
    ++result_.shards;
    result_.pairs += static_cast<std::int64_t>(shard.pairs().size());
    ShardHeader expected = manifest_.header;
    expected.split = said.split;
    if (!(shard.header() == expected)) add(said.file, -1, "settings differ from store.json");
    if (std::filesystem::file_size(file) != said.bytes || xxh3_64_file(file) != said.xxh3)
      add(said.file, -1, "size or xxh3 differs from store.json");
    if (static_cast<std::int64_t>(shard.pairs().size()) != said.pairs ||
        shard.crops() != said.crops) {
      add(said.file, -1, "number of pairs or crops differs from store.json");
    }
    for (const StudyRecord& study : shard.studies()) {
      const std::string id = study.name();
      const auto at = studies_.find(id);
      if (at == studies_.end() || at->second != said.split)
        add(said.file, -1, "study " + id + " is not in split " + said.split + " of store.json");
    }
    check_pairs(shard, shard.read_crop_table(), said.file);
    check_crops(shard, said.file);
  }

  void check_pairs(const ShardReader& shard, const std::vector<CropRecord>& crops,
                   const std::string& name) {
    std::set<std::string> repeated;
    for (const PairRecord& pair : shard.pairs()) {
      const auto subject = [&](std::uint32_t row) {
        return manifest_.subject_of(shard.studies()[crops[row].study].name());
      };
      if (subject(pair.query) == subject(pair.key)) repeated.insert(subject(pair.query));
    }
    for (const std::string& subject : repeated)
      add(name, -1, "a pair shows subject " + subject + " twice");
  }

  void check_crops(const ShardReader& shard, const std::string& name) {
    const ShardHeader& h = shard.header();
    std::vector<std::byte> stored(static_cast<std::size_t>(h.bytes())), packed;
    for (std::int64_t row = 0; row < shard.crops(); ++row) {
      ++result_.crops;
      if (advanced_) advanced_(1);
      try {
        shard.read_stored(row, stored, packed);
      } catch (const Error& e) {
        add(name, row, e.summary());
        continue;
      }
      if (is_beyond_window(h, stored)) add(name, row, "a value beyond the window");
    }
  }

  std::filesystem::path folder_;
  const std::function<void(std::int64_t)>& advanced_;
  StoreManifest manifest_;
  std::map<std::string, std::string> studies_;
  VerifyResult result_;
};

}  // namespace

VerifyResult verify(const std::filesystem::path& store,
                    const std::function<void(std::int64_t)>& advanced) {
  return Verifier(store, advanced).run();
}

}  // namespace homolog::store
