// A store checked shard by shard; one broken shard does not hide the next.
// Names of stray files and attributes are never repeated: they may hold what must not be shown.
#include "sharding/store/verify.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "sharding/store/store_manifest.h"
#include "sharding/store/store_names.h"
#include "sharding/store/verify_shard.h"

namespace homolog::store {
namespace {

namespace fs = std::filesystem;

// "numbers and words": what a setting of the planner is made of.
bool is_plain(const std::string& text) {
  return text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  std::string_view("_.,:+-").find(c) != std::string_view::npos;
         });
}

constexpr const char* kCopyAgain =
    "copy the named shards again, or write the store again with homolog shard";
constexpr const char* kRestore = "restore store.json, or write the store again with homolog shard";
constexpr const char* kMoveAway =
    "move what store.json does not list out of the store's folder (ls -A shows it)";

// What a reader's message says beside the place, which the finding bears itself.
std::string without(const std::string& place, const std::string& message) {
  return message.starts_with(place + ": ") ? message.substr(place.size() + 2) : message;
}

class Verifier {
 public:
  Verifier(const fs::path& folder, const std::function<void(std::int64_t)>& advanced)
      : folder_(folder), advanced_(advanced), manifest_(load_manifest(folder)) {}

  VerifyResult run() {
    check_manifest();
    check_splits();
    check_files();
    for (const ShardSummary& said : manifest_.shards) {
      try {
        check_shard(said);
      } catch (const Error& e) {
        if (e.fault() != Fault::Data) throw;  // may be whole, and could not be read
        add(said.file, -1, without((folder_ / said.file).string(), e.summary()));
      }
    }
    return std::move(result_);
  }

 private:
  void add(const std::string& shard, std::int64_t crop, const std::string& what,
           const char* remedy = kCopyAgain) {
    result_.findings.push_back({shard, crop, 0, what, remedy});
  }
  void add_json(const std::string& what, const char* remedy = kRestore) {
    add(std::string(kManifestName), -1, what, remedy);
  }
  void add(const ShardReader& shard, std::int64_t crop, const std::string& what) {
    const std::string name = shard.file().filename().string();
    if (crop < 0) return add(name, -1, without(shard.file().string(), what));
    add(name, crop, without(shard.where(crop), what));
    result_.findings.back().byte = shard.chunk(crop).offset;
  }

  void check_manifest() {
    std::size_t number = 0;
    for (const auto& [key, value] : manifest_.config) {
      if (!is_plain(key) || !is_plain(value))
        add_json("config entry " + std::to_string(number) + " is no number or word");
      ++number;
    }
    const auto by_name = [](const ShardSummary& a, const ShardSummary& b) {
      return a.file < b.file;
    };
    if (!std::is_sorted(manifest_.shards.begin(), manifest_.shards.end(), by_name))
      add_json("shards are not listed in the order of their names, by which pairs are numbered");
    for (const auto& [study, subject] : manifest_.subjects) {
      if (!is_hex_id(study) || !is_hex_id(subject))
        add_json("a subject or its study is no pseudonym");
    }
  }

  void check_splits() {
    std::map<std::string, std::string> split_of_subject;
    for (const auto& [split, ids] : manifest_.studies) {
      for (const std::string& id : ids) {
        if (!is_hex_id(id)) {
          add_json("a study id that is no pseudonym in split " + split);
          continue;
        }
        const auto [at, fresh] = split_of_study_.emplace(id, split);
        if (!fresh)
          add_json("study " + id + " is " +
                   (at->second == split ? "listed twice" : "in two splits"));
        const std::string& subject = manifest_.subject_of(id);
        const auto [first, unseen] = split_of_subject.emplace(subject, split);
        if (!unseen && first->second != split && is_hex_id(subject))
          add_json("subject " + subject + " is in two splits");
      }
    }
  }

  void check_files() {
    std::set<std::string> listed{"store.json"};
    for (const auto& s : manifest_.shards) listed.insert(s.file);
    for (const auto& entry : fs::directory_iterator(folder_)) {
      const std::string name = entry.path().filename().string();
      // A name that is not listed is not shown: it may bear a patient's.
      if (!listed.contains(name)) {
        add_json(entry.is_directory() ? "a folder lies in the store"
                                      : "a file lies in the store that is not listed",
                 kMoveAway);
      } else if (entry.is_symlink() && name == kManifestName) {  // shards: when they are opened
        add(name, -1, "a symbolic link, not a file of the store",
            "put the file itself in its place");
      }
    }
  }

  void compare_bytes(const fs::path& file, const ShardSummary& said) {
    const std::uint64_t bytes = fs::file_size(file), hash = xxh3_64_file(file);
    if (bytes != said.bytes)
      add(said.file, -1,
          "its size differs from store.json: " + std::to_string(bytes) + " bytes, there " +
              std::to_string(said.bytes));
    if (hash == said.xxh3) return;
    std::string what =
        "its xxh3 differs from store.json: " + hex64(hash) + ", there " + hex64(said.xxh3);
    for (const ShardSummary& other : manifest_.shards)
      if (other.xxh3 == hash && other.file != said.file)
        what += "; it is what store.json calls " + other.file + ": were they renamed?";
    add(said.file, -1, what);
  }

  void check_shard(const ShardSummary& said) {
    const auto file = folder_ / said.file;
    const ShardReader shard(file);
    ++result_.shards;
    result_.pairs += static_cast<std::int64_t>(shard.pairs().size());
    compare_bytes(file, said);
    for (const StudyRecord& study : shard.studies()) {
      const std::string id = study.name();
      const auto at = split_of_study_.find(id);
      if (at == split_of_study_.end() || at->second != said.split)
        add(said.file, -1, "study " + id + " is not in split " + said.split + " of store.json");
      const auto [first, fresh] = shard_of_study_.emplace(id, said.file);
      if (!fresh && first->second != said.file)
        add(said.file, -1, "study " + id + " is in " + first->second + " too");
    }
    verify_shard({shard, said, manifest_,
                  [&](std::int64_t crop, const std::string& what) { add(shard, crop, what); },
                  [&] {
                    ++result_.crops;
                    if (advanced_) advanced_(1);
                  }});
  }

  fs::path folder_;
  const std::function<void(std::int64_t)>& advanced_;
  StoreManifest manifest_;
  std::map<std::string, std::string> split_of_study_, shard_of_study_;
  VerifyResult result_;
};

}  // namespace

std::string place_of(const Finding& f) {
  if (f.crop < 0) return f.shard;
  return f.shard + ", crop " + std::to_string(f.crop) + " at byte " + std::to_string(f.byte);
}

std::string VerifyResult::remedy() const {
  std::string all;
  std::set<std::string> told;
  for (const Finding& f : findings)
    if (told.insert(f.remedy).second) all += (all.empty() ? "" : "; ") + f.remedy;
  return all;
}

VerifyResult verify(const fs::path& store, const std::function<void(std::int64_t)>& advanced) {
  return Verifier(store, advanced).run();
}

}  // namespace homolog::store
