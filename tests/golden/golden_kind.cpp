#include "golden_kind.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/error.h"

namespace homolog::golden {
namespace {

std::vector<Kind>& all_kinds() {
  static std::vector<Kind> list;
  return list;
}

// A kind that stumbles over a configuration unlike its own does not know it.
bool claims(const Kind& kind, const Fixture& fixture) {
  try {
    return kind.is(fixture);
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

const Kind& kind_of(const Fixture& fixture, const std::vector<Kind>& among) {
  std::vector<const Kind*> found;
  std::vector<std::string> names, keys;
  for (const Kind& kind : among) {
    if (!claims(kind, fixture)) continue;
    found.push_back(&kind);
    names.push_back(kind.name);
  }
  if (found.size() == 1) return *found[0];
  if (found.size() > 1)
    throw Error(Fault::Data,
                "several kinds know the fixture " + fixture.name() + ": " + joined(names),
                "make their `is` tell them apart");
  for (const auto& item : fixture.config().items()) keys.push_back(item.key());
  throw Error(
      Fault::Data,
      "no kind knows this fixture: " + fixture.name() + ", its configuration has " + joined(keys),
      "add a kind in tests/golden/kinds");
}

}  // namespace

RegisterKind::RegisterKind(Kind kind) { all_kinds().push_back(std::move(kind)); }

const std::vector<Kind>& kinds() { return all_kinds(); }

void check_fixture(const std::filesystem::path& file, const std::vector<Kind>& among) {
  const Fixture fixture(file);
  kind_of(fixture, among).check(fixture);
  const std::vector<std::string> left = fixture.unchecked();
  if (!left.empty())
    throw Error(Fault::Data,
                "no check looked at " + std::to_string(left.size()) + " tensors of " +
                    fixture.name() + ": " + joined(left),
                "compare them in the fixture's kind");
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::vector<std::string> kinds_without_fixture(const std::filesystem::path& folder,
                                               const std::vector<Kind>& among) {
  std::set<std::string> left;
  for (const Kind& kind : among) left.insert(kind.name);
  for (const auto& file : fixtures_in(folder)) {
    try {
      const Fixture fixture(file);
      for (const Kind& kind : among)
        if (claims(kind, fixture)) left.erase(kind.name);
    } catch (const Error&) {  // its own test says why
    }
  }
  return {left.begin(), left.end()};
}

std::filesystem::path fixture_folder() {
  if (const char* chosen = std::getenv("HOMOLOG_GOLDENS")) return chosen;
  const std::filesystem::path source(HOMOLOG_SOURCE_DIR), shared = source / "../shared/goldens";
  return fixtures_in(shared).empty() ? source / "tests/golden/fixtures" : shared;
}

std::vector<std::filesystem::path> fixtures_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(folder, code)) {
    if (entry.path().extension() == ".safetensors") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace homolog::golden
