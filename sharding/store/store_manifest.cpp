// store.json through nlohmann-json; its hash covers the rest of the document.
// Keys are written and read in one place each, so the two cannot drift.
#include "sharding/store/store_manifest.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/hash.h"

namespace homolog::store {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const StoreManifest& m) {
  const ShardHeader& h = m.header;
  Json shards = Json::array();
  for (const ShardSummary& s : m.shards) {
    shards.push_back({{"file", s.file},
                      {"split", s.split},
                      {"pairs", s.pairs},
                      {"crops", s.crops},
                      {"bytes", s.bytes},
                      {"xxh3", hex64(s.xxh3)}});
  }
  return {{"format", kStoreFormat},
          {"version", kFormatVersion},
          {"crop_xyz", {h.crop.x, h.crop.y, h.crop.z}},
          {"margin", h.margin},
          {"encoding", encoding_name(h.encoding)},
          {"codec", codec_name(h.codec)},
          {"window_hu", {h.window_low_hu, h.window_high_hu}},
          {"sam_hash", h.sam_hash},
          {"plan_hash", h.plan_hash},
          {"config", m.config},
          {"pairs", {{"train", m.pairs("train")}, {"validation", m.pairs("validation")}}},
          {"studies", m.studies},
          {"subjects", m.subjects},
          {"shards", shards}};
}

StoreManifest from_json(const Json& j) {
  StoreManifest m;
  ShardHeader& h = m.header;
  const auto crop = j.at("crop_xyz").get<std::array<std::int64_t, 3>>();
  const auto window = j.at("window_hu").get<std::array<int, 2>>();
  h.crop = {crop[0], crop[1], crop[2]};
  h.margin = j.at("margin").get<int>();
  h.encoding = encoding_named(j.at("encoding").get<std::string>());
  h.codec = codec_named(j.at("codec").get<std::string>());
  h.window_low_hu = window[0];
  h.window_high_hu = window[1];
  h.sam_hash = j.at("sam_hash").get<std::string>();
  h.plan_hash = j.at("plan_hash").get<std::string>();
  m.config = j.at("config").get<std::map<std::string, std::string>>();
  m.studies = j.at("studies").get<std::map<std::string, std::vector<std::string>>>();
  m.subjects = j.value("subjects", std::map<std::string, std::string>{});
  for (const Json& s : j.at("shards")) {
    m.shards.push_back({s.at("file").get<std::string>(), s.at("split").get<std::string>(),
                        s.at("pairs").get<std::int64_t>(), s.at("crops").get<std::int64_t>(),
                        s.at("bytes").get<std::uint64_t>(),
                        std::stoull(s.at("xxh3").get<std::string>(), nullptr, 16)});
  }
  return m;
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
  write_file_atomically(store / "store.json", json.dump(2) + "\n");
}

StoreManifest load_manifest(const std::filesystem::path& store) {
  const auto file = store / "store.json";
  const auto refuse = [&](const std::string& what, const std::string& remedy) {
    throw Error(Fault::Data, file.string() + ": " + what, remedy);
  };
  std::ifstream in(file);
  if (!in)
    refuse("missing, so this is no finished store",
           "run homolog shard to its end, or check data.store");
  std::ostringstream text;
  text << in.rdbuf();
  StoreManifest manifest;
  try {
    Json json = Json::parse(text.str());
    if (json.at("format") != kStoreFormat) refuse("not a pair store", "check data.store");
    if (json.at("version") != kFormatVersion) {
      refuse("store format version " + json.at("version").dump() + ", this program reads version " +
                 std::to_string(kFormatVersion),
             "use the homolog that wrote it, or write the store again with homolog shard");
    }
    const std::string hash = json.at("hash").get<std::string>();
    json.erase("hash");
    manifest = from_json(json);
    manifest.hash = xxh3_64(json.dump());
    if (hex64(manifest.hash) != hash)
      refuse("was changed after it was written",
             "restore it; or remove it and run homolog shard again, which keeps the shards");
    validate(manifest.header);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    refuse(std::string("damaged: ") + e.what(),
           "restore it; or remove it and run homolog shard again, which keeps the shards");
  }
  for (const auto& shard : manifest.shards) {
    if (shard.file.find('/') != std::string::npos)
      refuse("a shard outside the store", "restore it");
  }
  return manifest;
}

}  // namespace homolog::store
