// Keys are written and read in one place each, so the two cannot drift.
#include "sharding/store/manifest_json.h"

#include "base/error.h"
#include "base/hash.h"

namespace homolog::store {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void refuse(const std::string& entry, const std::string& what) {
  throw Error(Fault::Data, "its entry " + entry + " " + what);
}

// An object of the document, whose entries messages call "shards[3].pairs": `of` is "shards[3].".
class Entries {
 public:
  explicit Entries(const Json& object, std::string of = "") : object_(object), of_(std::move(of)) {}

  template <class T>
  T get(const char* key) const {
    try {
      return object_.at(key).get<T>();
    } catch (const Json::exception&) {
      refuse(of_ + key, "is missing or of another kind");
    }
  }
  // Whole numbers alone: a float beyond the integers has no value that C++ defines.
  template <class T>
  T whole(const char* key) const {
    const auto number = get<Json>(key);
    if (!number.is_number_integer()) refuse(of_ + key, "is not whole");
    return number.get<T>();
  }
  template <class T>
  std::vector<T> wholes(const char* key, std::size_t count) const {
    const auto list = get<Json>(key);
    if (!list.is_array() || list.size() != count)
      refuse(of_ + key, "is no list of " + std::to_string(count));
    std::vector<T> numbers;
    for (const Json& number : list) {
      if (!number.is_number_integer()) refuse(of_ + key, "is not whole");
      numbers.push_back(number.get<T>());
    }
    return numbers;
  }

 private:
  const Json& object_;
  std::string of_;
};

ShardHeader header_of(const Entries& entries) {
  ShardHeader h;
  const auto crop = entries.wholes<std::int64_t>("crop_xyz", 3);
  const auto window = entries.wholes<int>("window_hu", 2);
  h.crop = {crop[0], crop[1], crop[2]};
  h.margin = entries.whole<int>("margin");
  h.encoding = encoding_named(entries.get<std::string>("encoding"));
  h.codec = codec_named(entries.get<std::string>("codec"));
  h.window_low_hu = window[0];
  h.window_high_hu = window[1];
  h.sam_hash = entries.get<std::string>("sam_hash");
  h.plan_hash = entries.get<std::string>("plan_hash");
  return h;
}

ShardSummary shard_of(const Json& row, const std::string& of) {
  const Entries entries(row, of);
  const auto xxh3 = entries.get<std::string>("xxh3");
  if (!is_hex_id(xxh3)) refuse(of + "xxh3", "is no xxh3 of 16 hex digits");
  return {entries.get<std::string>("file"),      entries.get<std::string>("split"),
          entries.whole<std::int64_t>("pairs"),  entries.whole<std::int64_t>("crops"),
          entries.whole<std::uint64_t>("bytes"), std::stoull(xxh3, nullptr, 16)};
}

bool has_keys_of_its_own(const std::string& path) {
  return path == "config." || path == "studies." || path == "subjects.";
}

// `path`: "" for the document, "shards[3]." within.
std::string difference(const Json& is, const Json& ours, const std::string& path) {
  const std::string name = path.substr(0, path.size() - 1);
  if (is.is_object() && ours.is_object()) {
    std::string which = "its first entry";
    auto entry = is.begin();
    std::size_t number = 1;
    for (auto own = ours.begin(); own != ours.end(); ++own, ++entry, ++number) {
      if (entry == is.end() || entry.key() != own.key()) {
        if (has_keys_of_its_own(path))
          return "entry " + std::to_string(number) + " of " + name + " is out of order";
        if (!is.contains(own.key())) return "its entry " + path + own.key() + " is missing";
        break;
      }
      if (*entry != *own) return difference(*entry, *own, path + own.key() + ".");
      which = "the entry after " + path + own.key();
    }
    return which + " is not of the format, or out of order";
  }
  if (is.is_array() && ours.is_array() && is.size() == ours.size()) {
    for (std::size_t i = 0; i < is.size(); ++i)
      if (is[i] != ours[i])
        return difference(is[i], ours[i], name + "[" + std::to_string(i) + "].");
  }
  if (is.is_number() && ours.is_number())
    return "its entry " + name + " is " + is.dump() + ", not " + ours.dump();
  return "its entry " + name + " is not as the format has it";
}

}  // namespace

Json header_json(const ShardHeader& h) {
  return {{"version", kFormatVersion},    {"crop_xyz", {h.crop.x, h.crop.y, h.crop.z}},
          {"margin", h.margin},           {"encoding", encoding_name(h.encoding)},
          {"codec", codec_name(h.codec)}, {"window_hu", {h.window_low_hu, h.window_high_hu}},
          {"sam_hash", h.sam_hash},       {"plan_hash", h.plan_hash}};
}

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

StoreManifest manifest_of(const Json& document) {
  using Words = std::map<std::string, std::string>;
  const Entries entries(document);
  StoreManifest m;
  m.header = header_of(entries);
  m.config = entries.get<Words>("config");
  m.studies = entries.get<std::map<std::string, std::vector<std::string>>>("studies");
  m.subjects = entries.get<Words>("subjects");
  const auto shards = entries.get<std::vector<Json>>("shards");
  for (std::size_t i = 0; i < shards.size(); ++i)
    m.shards.push_back(shard_of(shards[i], "shards[" + std::to_string(i) + "]."));
  return m;
}

std::string text_of(const Json& document, const char* key) {
  return Entries(document).get<std::string>(key);
}

std::string first_difference(const Json& document, const Json& ours) {
  return difference(document, ours, "");
}

}  // namespace homolog::store
