#include "sharding/store_folder.h"

#include <cstdio>
#include <string>

#include "base/atomic_file.h"
#include "base/error.h"
#include "sharding/store/store_names.h"

namespace homolog::shard {
namespace fs = std::filesystem;
namespace {

std::string name_of(const fs::path& path) { return path.filename().string(); }

// "group-12" -> 12.
std::optional<std::size_t> group_named(const std::string& name) {
  std::size_t group = 0;
  int used = 0;
  if (std::sscanf(name.c_str(), "group-%zu%n", &group, &used) != 1) return std::nullopt;
  return name == claim_name(group) ? std::optional(group) : std::nullopt;
}

// A record, or one that is being written; a claim.
bool is_of_a_build(const std::string& name) {
  return recorded_group(final_name_of(name).value_or(name)) || claimed_group(name);
}

[[noreturn]] void refuse(const fs::path& store, const fs::path& stranger) {
  throw Error(Fault::Usage,
              store.string() + " holds " + stranger.lexically_relative(store).string() +
                  ", which is no part of a store",
              "choose another --out, or move that away");
}

}  // namespace

std::string claim_name(std::size_t group) { return "group-" + std::to_string(group); }
std::string record_name(std::size_t group) { return claim_name(group) + ".json"; }

std::optional<std::size_t> recorded_group(const std::string& name) {
  const fs::path path(name);
  return path.extension() == ".json" ? group_named(path.stem().string()) : std::nullopt;
}

std::optional<std::size_t> claimed_group(const std::string& name) {
  const auto final_name = final_name_of(name);
  return final_name ? group_named(*final_name) : std::nullopt;
}

void require_no_strangers(const fs::path& store) {
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(store, absent)) {
    const bool records = entry.path().filename() == "building" && entry.is_directory();
    if (!records && !store::is_of_a_store(name_of(entry.path()))) refuse(store, entry.path());
  }
  for (const auto& entry : fs::directory_iterator(store / "building", absent))
    if (!is_of_a_build(name_of(entry.path()))) refuse(store, entry.path());
}

void clear_leftovers(const fs::path& store) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(store / "building", ignored))
    if (is_of_a_build(name_of(entry.path()))) fs::remove(entry.path(), ignored);
  fs::remove(store / "building", ignored);
  for (const auto& entry : fs::directory_iterator(store, ignored)) {
    const std::string name = name_of(entry.path());
    if (final_name_of(name) && store::is_of_a_store(name)) fs::remove(entry.path(), ignored);
  }
}

void remove_dead_files(const fs::path& store) {
  remove_leftovers(store, [](const std::string& name) { return store::is_of_a_store(name); });
}

void remove_dead_records(const fs::path& building) {
  remove_leftovers(
      building, [](const std::string& name) { return group_named(name) || recorded_group(name); });
}

}  // namespace homolog::shard
