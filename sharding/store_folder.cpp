#include "sharding/store_folder.h"

#include <cstdio>
#include <string>

#include "base/error.h"
#include "sharding/store/shard_format.h"

namespace homolog::shard {
namespace fs = std::filesystem;
namespace {

constexpr const char* kTemporary = ".tmp-";  // of base/atomic_file

std::string final_name(const std::string& name) { return name.substr(0, name.find(kTemporary)); }

bool is_of_a_store(const fs::path& path) {
  const std::string name = final_name(path.filename().string());
  return name == "store.json" || store::is_shard_file_name(name);
}

// "group-12.json", "group-12" with a temporary ending.
bool is_a_record(const fs::path& path) {
  const std::string name = path.filename().string();
  std::size_t group = 0;
  int used = 0;
  if (std::sscanf(name.c_str(), "group-%zu%n", &group, &used) != 1) return false;
  const std::string rest = name.substr(static_cast<std::size_t>(used));
  return rest == ".json" || final_name(rest).empty() || final_name(rest) == ".json";
}

[[noreturn]] void refuse(const fs::path& store, const fs::path& stranger) {
  throw Error(Fault::Usage,
              store.string() + " holds " + stranger.lexically_relative(store).string() +
                  ", which is no part of a store",
              "choose another --out, or move that away");
}

}  // namespace

void require_no_strangers(const fs::path& store) {
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(store, absent)) {
    const bool records = entry.path().filename() == "building" && entry.is_directory();
    if (!records && !is_of_a_store(entry.path())) refuse(store, entry.path());
  }
  for (const auto& entry : fs::directory_iterator(store / "building", absent))
    if (!is_a_record(entry.path())) refuse(store, entry.path());
}

void clear_leftovers(const fs::path& store) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(store / "building", ignored))
    if (is_a_record(entry.path())) fs::remove(entry.path(), ignored);
  fs::remove(store / "building", ignored);
  for (const auto& entry : fs::directory_iterator(store, ignored)) {
    const fs::path& path = entry.path();
    const bool temporary = path.filename().string().find(kTemporary) != std::string::npos;
    if (temporary && is_of_a_store(path)) fs::remove(path, ignored);
  }
}

}  // namespace homolog::shard
