// INI files are parsed by Boost; the line of a key is found again, because Boost keeps none.
#include "base/option_table.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/ini.h"
#include "base/option_value.h"

namespace homolog {
namespace po = boost::program_options;

namespace {

std::string file_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file)) {
    throw Error(Fault::Usage, "cannot read the configuration " + file.string(),
                "give --config an existing INI file (see configs/)");
  }
  std::string text((std::istreambuf_iterator<char>(in)), {});
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // a byte order mark
  std::erase(text, '\r');
  return text;
}

// "FILE:LINE" of a key, found again because Boost's parser keeps no line numbers.
std::string locate(const std::filesystem::path& file, const std::string& key) {
  for (const IniLine& line : ini_lines(file_text(file))) {
    if (line.key == key) return file.string() + ":" + std::to_string(line.number);
  }
  return file.string();
}

// Keys of earlier versions. A configuration that names one with the value that changes nothing
// still serves.
struct Gone {
  const char *key, *harmless, *instead;
};
constexpr Gone kGone[] = {
    {"model.resnet.classes", "0", "pre-training has no classes: take the line out"},
    {"objective.alice.augment_teacher", "", "use data.augment_teacher"},
    {"shard.points_per_study", "", "use shard.landmarks_per_study"},
    {"shard.partners", "", "use shard.studies_per_landmark"},
    {"shard.encoding", "", "use shard.voxel: u16, u8 or i16"}};

// A key without its section ("--store" for data.store) is meant more often than any other mistake.
std::string nearest_key(const std::string& key, const std::vector<std::string>& known) {
  std::vector<std::string> last_parts;
  for (const std::string& full : known) last_parts.push_back(full.substr(full.rfind('.') + 1));
  const auto of_part = [&](const std::string& part) {
    const auto at = std::find(last_parts.begin(), last_parts.end(), part);
    return at == last_parts.end() ? "" : known[static_cast<std::size_t>(at - last_parts.begin())];
  };
  if (key.find('.') != std::string::npos) return nearest_word(key, known);
  if (const std::string full = of_part(key); !full.empty()) return full;
  if (const std::string near = nearest_word(key, known); !near.empty()) return near;
  return of_part(nearest_word(key, last_parts));
}

}  // namespace

bool OptionTable::is_foreign(const std::string& key) const {
  const auto dot = key.find('.');
  return dot != std::string::npos && std::find(foreign_sections.begin(), foreign_sections.end(),
                                               key.substr(0, dot)) != foreign_sections.end();
}

std::string OptionTable::flag_of(const std::string& key) const {
  if (flag_section.empty() || !key.starts_with(flag_section + ".")) return "";
  std::string flag = key.substr(flag_section.size() + 1);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

void OptionTable::unknown(const std::string& key, const std::string& where) const {
  std::vector<std::string> known;
  for (const OptionEntry& entry : entries) {
    const std::string flag = flag_of(entry.key);
    if (!flag.empty() && key.find('.') == std::string::npos) known.push_back(flag);
    known.push_back(entry.key);
  }
  const std::string near = nearest_key(key, known);
  throw Error(Fault::Usage, where + ": unknown option " + key,
              near.empty() ? "see " + program + " --help" : "did you mean " + near + "?");
}

void OptionTable::assign(const std::string& key, const std::string& text,
                         const std::string& where) {
  const auto found = index.find(key);
  if (found == index.end()) {
    if (is_foreign(key)) return;
    for (const Gone& gone : kGone) {
      if (key != gone.key) continue;
      if (text == gone.harmless) return;
      throw Error(Fault::Usage, where + ": the option " + key + " is gone", gone.instead);
    }
    unknown(key, where);
  }
  if (key.find('.') != std::string::npos && text.find_first_of("\n\r") != std::string::npos)
    throw Error(Fault::Usage, where + ": " + key + " holds a line break",
                "give it on one line, as the run's config.ini will hold it");
  OptionEntry& entry = entries[found->second];
  option_value::assign(entry.target, entry.rule, key, text, where);
  entry.set = true;
}

void OptionTable::read_file(const std::filesystem::path& file) {
  std::istringstream in(file_text(file));
  po::options_description none;
  std::optional<po::parsed_options> parsed;
  try {
    parsed = po::parse_config_file(in, none, true);
  } catch (const po::error& e) {
    throw Error(Fault::Usage, file.string() + ": not a valid INI file: " + e.what(),
                "write [section] lines and key = value lines");
  }
  std::set<std::string> seen;
  for (const auto& option : parsed->options) {
    const std::string& key = option.string_key;
    const std::string where = locate(file, key);
    if (!seen.insert(key).second) {
      throw Error(Fault::Usage, where + ": " + key + " is given twice in this file",
                  "keep one of the two");
    }
    if (key.find('.') == std::string::npos) unknown(key, where);
    assign(key, option.value.empty() ? "" : option.value.front(), where);
  }
  config_files.push_back(file);
}

void OptionTable::check_required() const {
  for (const OptionEntry& entry : entries) {
    if (entry.rule.required && !entry.set) {
      throw Error(Fault::Usage, "--" + entry.key + " is missing: " + entry.help,
                  "see " + program + " --help");
    }
  }
}

}  // namespace homolog
