// store.json through nlohmann-json; its hash covers the rest of the document.
#include "sharding/store/store_manifest.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <set>
#include <sstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "sharding/store/manifest_json.h"
#include "sharding/store/store_names.h"

namespace homolog::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uintmax_t kMaxManifestBytes = 256 << 20;  // a million studies are some 60 MB

// Names and counts that would lead a reader out of the store or beyond its bounds.
void check(const StoreManifest& m) {
  const auto refuse = [](const std::string& what) { throw Error(Fault::Data, what); };
  validate(m.header);
  std::set<std::string> files;
  for (std::size_t i = 0; i < m.shards.size(); ++i) {
    const ShardSummary& s = m.shards[i];
    const std::string row = "shard " + std::to_string(i) + " of the list: ";
    if (!is_shard_file_name(s.file)) refuse(row + "its name is not of the form shard-00000.h5");
    if (!files.insert(s.file).second) refuse(row + s.file + " is listed twice");
    if (!is_split(s.split)) refuse(row + "a split that is neither train nor validation");
    if (s.pairs < 0 || s.pairs > kMaxPairsPerShard || s.crops < 0 || s.crops > kMaxCropsPerShard)
      refuse(row + "more pairs or crops than a shard may hold");
  }
  for (const auto& [split, ids] : m.studies)
    if (!is_split(split)) refuse("studies of a split that is neither train nor validation");
}

// The parser's own message repeats the text, which may be a patient's.
std::string place_of(const Json::parse_error& error, const std::string& text) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(error.byte, text.size()));
  return "byte " + std::to_string(error.byte) + " (line " +
         std::to_string(1 + std::count(text.begin(), end, '\n')) + ")";
}

void require_format(const Json& document, const std::string& file) {
  const Json none, *format = &none, *version = &none;
  if (document.contains("format")) format = &document.at("format");
  if (document.contains("version")) version = &document.at("version");
  if (*format != kStoreFormat)
    throw Error(Fault::Data, file + ": not a pair store", "check data.store");
  if (*version != kFormatVersion) {
    throw Error(Fault::Data,
                file + ": store format version " +
                    (version->is_number() ? version->dump() : "unknown") +
                    ", this program reads version " + std::to_string(kFormatVersion),
                "use the homolog that wrote it, or write the store again with homolog shard");
  }
}

[[noreturn]] void refuse_forbidden(const std::filesystem::path& file) {
  throw Error(Fault::Environment, file.string() + ": permission denied",
              "give this user read permission");
}

std::string read_text(const std::filesystem::path& file) {
  std::error_code ignored;
  const bool there = std::filesystem::is_regular_file(file, ignored);
  if (ignored == std::errc::permission_denied) refuse_forbidden(file);
  if (!there) return "";
  if (std::filesystem::file_size(file, ignored) > kMaxManifestBytes)
    throw Error(Fault::Data, file.string() + ": longer than a store.json can be", "restore it");
  errno = 0;
  std::ifstream in(file);
  if (!in && errno == EACCES) refuse_forbidden(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

const std::string& StoreManifest::subject_of(const std::string& study) const {
  const auto found = subjects.find(study);
  return found == subjects.end() ? study : found->second;
}
std::int64_t StoreManifest::pairs(const std::string& split) const {
  std::int64_t sum = 0;
  for (const auto& s : shards) sum += split.empty() || s.split == split ? s.pairs : 0;
  return sum;
}
std::int64_t StoreManifest::crops() const {
  std::int64_t sum = 0;
  for (const auto& s : shards) sum += s.crops;
  return sum;
}
std::uint64_t StoreManifest::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& s : shards) sum += s.bytes;
  return sum;
}

void save_manifest(const std::filesystem::path& store, StoreManifest& manifest) {
  for (const auto& [split, ids] : manifest.studies) {
    for (const auto& id : ids) {
      if (!is_hex_id(id))
        throw Error(Fault::Usage, "a study id in split " + split + " is no pseudonym");
    }
  }
  for (const auto& [study, subject] : manifest.subjects) {
    if (!is_hex_id(subject))
      throw Error(Fault::Usage, "a subject of study " + study + " is no pseudonym");
  }
  Json json = to_json(manifest);
  manifest.hash = xxh3_64(json.dump());
  json["hash"] = hex64(manifest.hash);
  write_file_atomically(store / kManifestName, json.dump(2) + "\n");
}

StoreManifest load_manifest(const std::filesystem::path& store) {
  const auto file = store / kManifestName;
  const auto refuse = [&](const std::string& what, const std::string& remedy) {
    throw Error(Fault::Data, file.string() + ": " + what, remedy);
  };
  std::error_code unknown;
  if (!std::filesystem::exists(store, unknown) && !unknown)
    throw Error(Fault::Data, "there is no folder " + store.string(),
                "give the folder that homolog shard wrote with --out");
  const std::string text = read_text(file);
  if (text.empty())
    refuse("missing, empty or not readable, so this is no finished store",
           "run homolog shard to its end, or check data.store");
  const std::string restore =
      "restore it; or remove it and run homolog shard again, which keeps the sound shards";
  StoreManifest manifest;
  try {
    Json json = Json::parse(text);
    require_format(json, file.string());
    const std::string hash = text_of(json, "hash");
    json.erase("hash");
    manifest = manifest_of(json);
    check(manifest);
    // Entries that the format lacks, sums that do not add up: a document that we would not write.
    const Json ours = to_json(manifest);
    if (ours != json) refuse(first_difference(json, ours), restore);
    manifest.hash = xxh3_64(ours.dump());
    if (hex64(manifest.hash) != hash) refuse("was changed after it was written", restore);
  } catch (const Error& e) {
    if (e.summary().starts_with(file.string())) throw;
    refuse(e.summary(), restore);
  } catch (const Json::parse_error& e) {
    refuse("damaged: no JSON at " + place_of(e, text), restore);
  } catch (const std::exception&) {
    refuse("damaged: no document of a store", restore);
  }
  return manifest;
}

}  // namespace homolog::store
