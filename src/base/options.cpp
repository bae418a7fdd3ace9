// Declaring, parsing in the order of precedence, and the texts of --help and --dump-config.
#include "base/options.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#include "base/command_line.h"
#include "base/option_table.h"
#include "base/option_value.h"

namespace homolog {

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
  OptionEntry entry{key, help, option_value::print(target), target, std::move(rule)};
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

void Options::flags_without_section(std::string section) {
  state_->flag_section = std::move(section);
}

bool Options::parse(int argc, const char* const* argv) {
  State& s = *state_;
  const CommandLine line = read_command_line(s, argc, argv);
  if (line.help) {
    std::fputs(help().c_str(), stdout);
    return false;
  }
  for (const auto& file : line.files) s.read_file(file);
  for (const auto& [key, value] : line.settings) s.assign(key, value, "command line");
  for (const auto& [key, value] : line.options) s.assign(key, value, "command line");
  if (line.dump) {
    std::fputs(dump().c_str(), stdout);
    return false;
  }
  s.check_required();
  return !line.check;
}

std::string Options::help() const {
  const State& s = *state_;
  std::string text = "usage: " + s.program + " " + s.usage + "\n\n" + s.summary + "\n";
  if (s.positional) text += "\n  " + s.positional_name + "\n      " + s.positional_help + "\n";
  std::string section = "?";
  bool dotted = false;
  for (const OptionEntry& entry : s.entries) {
    const auto dot = entry.key.find('.');
    const std::string here = dot == std::string::npos ? "" : entry.key.substr(0, dot);
    dotted = dotted || !here.empty();
    if (here != section) text += here.empty() ? "\noptions\n" : "\n[" + here + "]\n";
    section = here;
    const std::string flag = s.flag_of(entry.key);
    text += "  --" + (flag.empty() ? "" : flag + ", --") + entry.key;
    if (!entry.rule.unit.empty()) text += " (" + entry.rule.unit + ")";
    if (entry.rule.required)
      text += "  required";
    else if (!entry.default_text.empty())
      text += "  default " + entry.default_text;
    text += "\n      " + entry.help + option_value::describe(entry.rule) + "\n";
  }
  text += "\ncommon\n  -h, --help, --version, --build-info\n";
  if (dotted) {
    text +=
        "  --config FILE      INI file; may be given several times, later ones win\n"
        "  --set KEY=VALUE    one setting, wins over files\n"
        "  --dump-config      print the resolved settings as INI and end\n"
        "  --check-config     check the settings and end\n";
  }
  return text;
}

namespace {

// INI of the dotted keys, each with the text that `value` gives.
template <class Value>
std::string ini_text(const std::vector<OptionEntry>& entries, Value value) {
  std::string text;
  std::vector<std::string> sections;
  for (const OptionEntry& entry : entries) {
    const auto dot = entry.key.find('.');
    if (dot == std::string::npos) continue;
    const std::string name = entry.key.substr(0, dot);
    if (std::find(sections.begin(), sections.end(), name) == sections.end())
      sections.push_back(name);
  }
  for (const std::string& name : sections) {
    text += (text.empty() ? "[" : "\n[") + name + "]\n";
    for (const OptionEntry& entry : entries) {
      if (entry.key.starts_with(name + "."))
        text += entry.key.substr(name.size() + 1) + " = " + value(entry) + "\n";
    }
  }
  return text;
}

}  // namespace

std::string Options::dump() const {
  return ini_text(state_->entries,
                  [](const OptionEntry& entry) { return option_value::print(entry.target); });
}

std::string Options::dump_defaults() const {
  return ini_text(state_->entries, [](const OptionEntry& entry) { return entry.default_text; });
}

std::vector<std::string> Options::keys() const {
  std::vector<std::string> names;
  for (const OptionEntry& entry : state_->entries) names.push_back(entry.key);
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
