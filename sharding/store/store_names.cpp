#include "sharding/store/store_names.h"

#include <algorithm>
#include <cstdio>

#include "base/atomic_file.h"

namespace homolog::store {
namespace {

std::string final_name(std::string_view name) {
  return final_name_of(name).value_or(std::string(name));
}

}  // namespace

std::string shard_file_name(std::int64_t number) {
  char name[40];
  std::snprintf(name, sizeof name, "shard-%05lld.h5", static_cast<long long>(number));
  return name;
}

bool is_shard_file_name(std::string_view name) noexcept {
  return name.size() >= 14 && name.size() <= 24 && name.starts_with("shard-") &&
         name.ends_with(".h5") &&
         std::all_of(name.begin() + 6, name.end() - 3, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_of_a_shard(std::string_view name) { return is_shard_file_name(final_name(name)); }

bool is_of_a_store(std::string_view name) {
  return is_of_a_shard(name) || final_name(name) == kManifestName;
}

std::filesystem::path store_around(const std::filesystem::path& path) {
  for (auto at = std::filesystem::weakly_canonical(path);; at = at.parent_path()) {
    std::error_code ignored;
    if (std::filesystem::exists(at / kManifestName, ignored)) return at;
    if (at.empty() || at == at.root_path()) return {};
  }
}

}  // namespace homolog::store
