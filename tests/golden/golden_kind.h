// Kinds of fixtures: who checks a fixture, told by its configuration, so that a new fixture of a
// known kind (another width, another depth) is checked without a line of code.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "golden_fixture.h"

namespace homolog::golden {

struct Kind {
  std::string name;  // "Swin UNETR"
  // By name, configuration and lists; never by an exact file name.
  std::function<bool(const Fixture&)> is;
  // Builds the thing from config() and hands every stored tensor's counterpart to expect().
  std::function<void(const Fixture&)> check;
};

// A static object in kinds/NAME_golden.cpp.
struct RegisterKind {
  explicit RegisterKind(Kind kind);
};

const std::vector<Kind>& kinds();

// Opens the fixture and lets its kind check it. Throws Error{Data}: broken, a kind that none or
// several claim, a stored tensor that no check looked at.
void check_fixture(const std::filesystem::path& file, const std::vector<Kind>& among);

// Where the fixtures are: HOMOLOG_GOLDENS if set, else ../shared/goldens beside the source, else
// tests/golden/fixtures.
std::filesystem::path fixture_folder();
std::vector<std::filesystem::path> fixtures_in(const std::filesystem::path& folder);
// Names of kinds that none of the folder's fixtures belongs to. A broken fixture belongs to none.
std::vector<std::string> kinds_without_fixture(const std::filesystem::path& folder,
                                               const std::vector<Kind>& among);

std::string joined(const std::vector<std::string>& words);  // by commas

}  // namespace homolog::golden
