// store.json through nlohmann-json; its hash covers the rest of the document.
// Keys are written and read in one place each, so the two cannot drift.
#include "sharding/store/store_manifest.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/hash.h"
#include "sharding/store/store_names.h"

namespace homolog::store {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uintmax_t kMaxManifestBytes = 256 << 20;  // a million studies are some 60 MB

Json to_json(const StoreManifest& m) {
  Json shards = Json::array();
  for (const ShardSummary& s : m.shards) {
    shards.push_back({{"file", s.file},
                      {"split", s.split},
                      {"pairs", s.pairs},
                      {"crops", s.crops},
                      {"bytes", s.bytes},
                      {"xxh3", hex64(s.xxh3)}});
  }
  Json out{{"format", kStoreFormat}};
  out.update(header_json(m.header));
  out.update({{"config", m.config},
              {"pairs", {{"train", m.pairs("train")}, {"validation", m.pairs("validation")}}},
              {"studies", m.studies},
              {"subjects", m.subjects},
              {"shards", shards}});
  return out;
}

// Whole numbers alone: a float beyond the integers has no value that C++ defines.
template <class T>
T whole(const Json& j) {
  if (!j.is_number_integer()) throw Error(Fault::Data, "a number that is not whole");
  return j.get<T>();
}

StoreManifest from_json(const Json& j) {
  StoreManifest m;
  ShardHeader& h = m.header;
  const Json &crop = j.at("crop_xyz"), &window = j.at("window_hu");
  h.crop = {whole<std::int64_t>(crop.at(0)), whole<std::int64_t>(crop.at(1)),
            whole<std::int64_t>(crop.at(2))};
  h.margin = whole<int>(j.at("margin"));
  h.encoding = encoding_named(j.at("encoding").get<std::string>());
  h.codec = codec_named(j.at("codec").get<std::string>());
  h.window_low_hu = whole<int>(window.at(0));
  h.window_high_hu = whole<int>(window.at(1));
  h.sam_hash = j.at("sam_hash").get<std::string>();
  h.plan_hash = j.at("plan_hash").get<std::string>();
  m.config = j.at("config").get<std::map<std::string, std::string>>();
  m.studies = j.at("studies").get<std::map<std::string, std::vector<std::string>>>();
  m.subjects = j.value("subjects", std::map<std::string, std::string>{});
  for (const Json& s : j.at("shards")) {
    const auto xxh3 = s.at("xxh3").get<std::string>();
    if (!is_hex_id(xxh3)) throw Error(Fault::Data, "an xxh3 that is not 16 hex digits");
    m.shards.push_back({s.at("file").get<std::string>(), s.at("split").get<std::string>(),
                        whole<std::int64_t>(s.at("pairs")), whole<std::int64_t>(s.at("crops")),
                        whole<std::uint64_t>(s.at("bytes")), std::stoull(xxh3, nullptr, 16)});
  }
  return m;
}

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

// What may be told of an exception: a parser's message repeats the text, which may be a patient's.
std::string without_text(const std::exception& e) {
  const auto* parse = dynamic_cast<const Json::parse_error*>(&e);
  return parse ? "no JSON at byte " + std::to_string(parse->byte) : std::string(e.what());
}

std::string version_of(const Json& json) {
  return json.at("version").is_number() ? json.at("version").dump() : "unknown";
}

std::string read_text(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) return "";
  if (std::filesystem::file_size(file, ignored) > kMaxManifestBytes)
    throw Error(Fault::Data, file.string() + ": longer than a store.json can be", "restore it");
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace

Json header_json(const ShardHeader& h) {
  return {{"version", kFormatVersion},    {"crop_xyz", {h.crop.x, h.crop.y, h.crop.z}},
          {"margin", h.margin},           {"encoding", encoding_name(h.encoding)},
          {"codec", codec_name(h.codec)}, {"window_hu", {h.window_low_hu, h.window_high_hu}},
          {"sam_hash", h.sam_hash},       {"plan_hash", h.plan_hash}};
}

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
  const std::string text = read_text(file);
  if (text.empty())
    refuse("missing, empty or not readable, so this is no finished store",
           "run homolog shard to its end, or check data.store");
  const std::string restore =
      "restore it; or remove it and run homolog shard again, which keeps the sound shards";
  StoreManifest manifest;
  try {
    Json json = Json::parse(text);
    if (json.at("format") != kStoreFormat) refuse("not a pair store", "check data.store");
    if (json.at("version") != kFormatVersion) {
      refuse("store format version " + version_of(json) + ", this program reads version " +
                 std::to_string(kFormatVersion),
             "use the homolog that wrote it, or write the store again with homolog shard");
    }
    const std::string hash = json.at("hash").get<std::string>();
    json.erase("hash");
    manifest = from_json(json);
    check(manifest);
    // Entries that the format lacks, sums that do not add up: a document that we would not write.
    const Json ours = to_json(manifest);
    if (ours != json) refuse("entries that are not of the format, or counts that differ", restore);
    manifest.hash = xxh3_64(ours.dump());
    if (hex64(manifest.hash) != hash) refuse("was changed after it was written", restore);
  } catch (const Error& e) {
    if (e.summary().starts_with(file.string())) throw;
    refuse(e.summary(), restore);
  } catch (const std::exception& e) {
    refuse(std::string("damaged: ") + without_text(e), restore);
  }
  return manifest;
}

}  // namespace homolog::store
