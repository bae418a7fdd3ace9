#include "base/options.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>

#include "base/error.h"
#include "base/ini.h"
#include "base/option_value.h"

namespace homolog {
namespace po = boost::program_options;

struct Entry {
  std::string key, help, default_text;
  Options::Target target;
  Rule rule;
  bool set = false;
};

struct Options::State {
  std::string program, usage, summary;
  std::vector<Entry> entries;  // in the order of declaration
  std::map<std::string, std::size_t> index;
  std::vector<std::string> foreign_sections;
  std::vector<std::string>* positional = nullptr;
  std::string positional_name, positional_help;
  std::vector<std::filesystem::path> config_files;
  std::vector<std::string> config_arguments;

  bool is_foreign(const std::string& key) const {
    const auto dot = key.find('.');
    return dot != std::string::npos && std::find(foreign_sections.begin(), foreign_sections.end(),
                                                 key.substr(0, dot)) != foreign_sections.end();
  }
  void assign(const std::string& key, const std::string& text, const std::string& where);
  void read_file(const std::filesystem::path& file);
  [[noreturn]] void unknown(const std::string& key, const std::string& where) const;
};

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

}  // namespace

Options::Options(std::string program, std::string usage, std::string summary)
    : state_(std::make_unique<State>()) {
  state_->program = std::move(program);
  state_->usage = std::move(usage);
  state_->summary = std::move(summary);
}
Options::~Options() = default;

void Options::add_target(const std::string& key, Target target, const std::string& help,
                         Rule rule) {
  if (!state_->index.emplace(key, state_->entries.size()).second) {
    throw std::logic_error("option declared twice: " + key);
  }
  Entry entry{key, help, option_value::print(target), target, std::move(rule)};
  state_->entries.push_back(std::move(entry));
}

void Options::positional(const std::string& name, std::vector<std::string>& values,
                         const std::string& help) {
  state_->positional = &values;
  state_->positional_name = name;
  state_->positional_help = help;
}

void Options::leave_to_others(std::vector<std::string> sections) {
  state_->foreign_sections = std::move(sections);
}

void Options::State::unknown(const std::string& key, const std::string& where) const {
  std::vector<std::string> known;
  for (const Entry& entry : entries) known.push_back(entry.key);
  const std::string near = nearest_word(key, known);
  throw Error(Fault::Usage, where + ": unknown option " + key,
              near.empty() ? "see " + program + " --help" : "did you mean " + near + "?");
}

void Options::State::assign(const std::string& key, const std::string& text,
                            const std::string& where) {
  const auto found = index.find(key);
  if (found == index.end()) {
    if (is_foreign(key)) return;
    unknown(key, where);
  }
  Entry& entry = entries[found->second];
  option_value::assign(entry.target, entry.rule, key, text, where);
  entry.set = true;
}

void Options::State::read_file(const std::filesystem::path& file) {
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

bool Options::parse(int argc, const char* const* argv) {
  State& s = *state_;
  po::options_description description;
  auto declare = description.add_options();
  declare("help", "");
  declare("dump-config", "");
  declare("config", po::value<std::vector<std::string>>()->composing(), "");
  declare("set", po::value<std::vector<std::string>>()->composing(), "");
  for (const Entry& entry : s.entries) {
    auto* value = po::value<std::string>();
    if (std::holds_alternative<bool*>(entry.target)) value->implicit_value("true");
    declare(entry.key.c_str(), value, "");
  }
  po::parsed_options parsed(&description);
  try {
    const auto style = po::command_line_style::unix_style &
                       ~po::command_line_style::allow_guessing &
                       ~po::command_line_style::allow_short;
    parsed = po::command_line_parser(argc, argv)
                 .options(description)
                 .style(style)
                 .allow_unregistered()
                 .run();
  } catch (const po::error& e) {
    throw Error(Fault::Usage, std::string("command line: ") + e.what(),
                "see " + s.program + " --help");
  }
  std::vector<std::pair<std::string, std::string>> sets, direct;
  std::vector<std::filesystem::path> files;
  bool dump = false;
  for (std::size_t i = 0; i < parsed.options.size(); ++i) {
    const auto& option = parsed.options[i];
    std::string value = option.value.empty() ? "" : option.value.front();
    if (option.position_key >= 0 || option.string_key.empty()) {
      if (!s.positional) {
        throw Error(Fault::Usage, "command line: unexpected word '" + value + "'",
                    "see " + s.program + " --help");
      }
      s.positional->insert(s.positional->end(), option.value.begin(), option.value.end());
    } else if (option.string_key == "help") {
      std::fputs(help().c_str(), stdout);
      return false;
    } else if (option.string_key == "dump-config") {
      dump = true;
    } else if (option.string_key == "config") {
      for (const auto& file : option.value) files.emplace_back(file);
      s.config_arguments.insert(s.config_arguments.end(), {"--config", value});
    } else if (option.string_key == "set") {
      const auto equals = value.find('=');
      if (equals == std::string::npos) {
        throw Error(Fault::Usage, "command line: --set " + value + " has no '='",
                    "write --set section.key=value");
      }
      sets.emplace_back(value.substr(0, equals), value.substr(equals + 1));
      s.config_arguments.insert(s.config_arguments.end(), {"--set", value});
    } else if (option.unregistered) {
      // --section.key=value, --section.key value or --section.flag of another program is handed on.
      if (s.is_foreign(option.string_key)) {
        const bool alone = option.original_tokens.front().find('=') == std::string::npos;
        const bool word_follows =
            i + 1 < parsed.options.size() && parsed.options[i + 1].position_key >= 0;
        if (alone && option.value.empty()) {
          value = word_follows ? parsed.options[++i].value.front() : "true";
        }
        s.config_arguments.insert(s.config_arguments.end(),
                                  {"--set", option.string_key + "=" + value});
      } else {
        s.unknown(option.string_key, "command line");
      }
    } else {
      // Only a bool may come without a value: Boost applies implicit values later than here.
      if (option.value.empty()) value = "true";
      direct.emplace_back(option.string_key, value);
      if (option.string_key.find('.') != std::string::npos) {
        s.config_arguments.insert(s.config_arguments.end(),
                                  {"--set", option.string_key + "=" + value});
      }
    }
  }
  for (const auto& file : files) s.read_file(file);
  for (const auto& [key, value] : sets) s.assign(key, value, "command line");
  for (const auto& [key, value] : direct) s.assign(key, value, "command line");
  if (dump) {
    std::fputs(this->dump().c_str(), stdout);
    return false;
  }
  for (const Entry& entry : s.entries) {
    if (entry.rule.required && !entry.set) {
      throw Error(Fault::Usage, "--" + entry.key + " is missing: " + entry.help,
                  "see " + s.program + " --help");
    }
  }
  return true;
}

std::string Options::help() const {
  const State& s = *state_;
  std::string text = "usage: " + s.program + " " + s.usage + "\n\n" + s.summary + "\n";
  if (s.positional) text += "\n  " + s.positional_name + "\n      " + s.positional_help + "\n";
  std::string section = "?";
  bool dotted = false;
  for (const Entry& entry : s.entries) {
    const auto dot = entry.key.find('.');
    const std::string here = dot == std::string::npos ? "" : entry.key.substr(0, dot);
    dotted = dotted || !here.empty();
    if (here != section) text += here.empty() ? "\noptions\n" : "\n[" + here + "]\n";
    section = here;
    text += "  --" + entry.key;
    if (!entry.rule.unit.empty()) text += " (" + entry.rule.unit + ")";
    if (entry.rule.required)
      text += "  required";
    else if (!entry.default_text.empty())
      text += "  default " + entry.default_text;
    text += "\n      " + entry.help + option_value::describe(entry.rule) + "\n";
  }
  text += "\ncommon\n  --help, --version, --build-info\n";
  if (dotted) {
    text +=
        "  --config FILE      INI file; may be given several times, later ones win\n"
        "  --set KEY=VALUE    one setting, wins over files\n"
        "  --dump-config      print the resolved settings as INI and end\n";
  }
  return text;
}

std::string Options::dump() const {
  std::string text, section;
  std::vector<std::string> sections;
  for (const Entry& entry : state_->entries) {
    const auto dot = entry.key.find('.');
    if (dot == std::string::npos) continue;
    const std::string name = entry.key.substr(0, dot);
    if (std::find(sections.begin(), sections.end(), name) == sections.end())
      sections.push_back(name);
  }
  for (const std::string& name : sections) {
    text += (text.empty() ? "[" : "\n[") + name + "]\n";
    for (const Entry& entry : state_->entries) {
      if (entry.key.starts_with(name + ".")) {
        text +=
            entry.key.substr(name.size() + 1) + " = " + option_value::print(entry.target) + "\n";
      }
    }
  }
  return text;
}

std::vector<std::string> Options::keys() const {
  std::vector<std::string> names;
  for (const Entry& entry : state_->entries) names.push_back(entry.key);
  return names;
}

bool Options::was_set(const std::string& key) const {
  return state_->entries.at(state_->index.at(key)).set;
}
const std::vector<std::filesystem::path>& Options::config_files() const {
  return state_->config_files;
}
std::vector<std::string> Options::config_arguments() const { return state_->config_arguments; }

std::string nearest_word(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= candidate.size(); ++j) {
        const std::size_t substitution = diagonal + (word[i - 1] != candidate[j - 1]);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitution});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace homolog
