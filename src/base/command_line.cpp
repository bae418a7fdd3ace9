// Boost splits the words; a word of another program's section is kept as it stands and handed on.
#include "base/command_line.h"

#include <algorithm>
#include <boost/program_options.hpp>

#include "base/error.h"
#include "base/option_value.h"

namespace homolog {
namespace po = boost::program_options;

namespace {

std::vector<po::option> split(const OptionTable& table, int argc, const char* const* argv) {
  po::options_description description;
  auto declare = description.add_options();
  declare("help", "");
  declare("dump-config", "");
  declare("check-config", "");
  declare("config", po::value<std::vector<std::string>>()->composing(), "");
  declare("set", po::value<std::vector<std::string>>()->composing(), "");
  for (const OptionEntry& entry : table.entries) {
    for (const std::string& name : {entry.key, table.flag_of(entry.key)}) {
      if (name.empty()) continue;
      auto* value = po::value<std::string>();
      if (std::holds_alternative<bool*>(entry.target)) value->implicit_value("true");
      declare(name.c_str(), value, "");
    }
  }
  const auto style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing &
                     ~po::command_line_style::allow_short;
  try {
    return po::command_line_parser(argc, argv)
        .options(description)
        .style(style)
        .allow_unregistered()
        .run()
        .options;
  } catch (const po::error& e) {
    throw Error(Fault::Usage, std::string("command line: ") + e.what(),
                "see " + table.program + " --help");
  }
}

std::string value_of(const po::option& word) {
  return word.value.empty() ? "" : word.value.front();
}

void hand_on(OptionTable& table, const std::string& option, const std::string& value) {
  table.config_arguments.insert(table.config_arguments.end(), {option, value});
}

void take_positional(OptionTable& table, const po::option& word) {
  if (!table.positional) {
    throw Error(Fault::Usage, "command line: unexpected word '" + value_of(word) + "'",
                "see " + table.program + " --help");
  }
  table.positional->insert(table.positional->end(), word.value.begin(), word.value.end());
}

void take_setting(OptionTable& table, const std::string& text, CommandLine& line) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) {
    throw Error(Fault::Usage, "command line: --set " + text + " has no '='",
                "write --set section.key=value");
  }
  line.settings.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  hand_on(table, "--set", text);
}

// --section.key=value, --section.key value or --section.flag of another program. Returns whether
// the next word was its value.
bool take_foreign(OptionTable& table, const po::option& word, const po::option* next) {
  if (!table.is_foreign(word.string_key)) table.unknown(word.string_key, "command line");
  const bool alone =
      word.value.empty() && word.original_tokens.front().find('=') == std::string::npos;
  const bool uses_next = alone && next != nullptr && next->position_key >= 0;
  const std::string value = uses_next ? next->value.front() : alone ? "true" : value_of(word);
  hand_on(table, "--set", word.string_key + "=" + value);
  return uses_next;
}

// The key that a flag without its section stands for.
std::string key_of(const OptionTable& table, const std::string& word) {
  const auto found =
      std::find_if(table.entries.begin(), table.entries.end(),
                   [&](const OptionEntry& entry) { return table.flag_of(entry.key) == word; });
  return found == table.entries.end() ? word : found->key;
}

bool is_flag(const OptionTable& table, const std::string& key) {
  return std::any_of(table.entries.begin(), table.entries.end(), [&](const OptionEntry& entry) {
    return entry.key == key && std::holds_alternative<bool*>(entry.target);
  });
}

void take_own(OptionTable& table, const po::option& word, CommandLine& line) {
  // Only a bool may come without a value: Boost applies implicit values later than here.
  std::string value = word.value.empty() ? "true" : word.value.front();
  const std::string key = key_of(table, word.string_key);
  const bool apart = word.original_tokens.size() == 2;  // "--json STORE", not "--json=STORE"
  if (apart && table.positional && is_flag(table, key) && !option_value::is_bool(value)) {
    take_positional(table, word);
    value = "true";
  }
  const bool is_setting = key.find('.') != std::string::npos;  // which may be unset
  if (value.empty() && !is_setting) {
    throw Error(Fault::Usage, "command line: --" + key + " is empty",
                "give it a value, or leave it out; was a variable of the shell not set?");
  }
  line.options.emplace_back(key, value);
  if (is_setting) hand_on(table, "--set", key + "=" + value);
}

}  // namespace

CommandLine read_command_line(OptionTable& table, int argc, const char* const* argv) {
  const std::vector<po::option> words = split(table, argc, argv);
  CommandLine line;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const po::option& word = words[i];
    const std::string& key = word.string_key;
    const bool positional = word.position_key >= 0 || key.empty();
    if (key == "help" || (positional && value_of(word) == "-h")) {
      line.help = true;
      return line;
    } else if (positional) {
      take_positional(table, word);
    } else if (key == "dump-config") {
      line.dump = true;
    } else if (key == "check-config") {
      line.check = true;
    } else if (key == "config") {
      line.files.insert(line.files.end(), word.value.begin(), word.value.end());
      hand_on(table, "--config", value_of(word));
    } else if (key == "set") {
      take_setting(table, value_of(word), line);
    } else if (word.unregistered) {
      if (take_foreign(table, word, i + 1 < words.size() ? &words[i + 1] : nullptr)) ++i;
    } else {
      take_own(table, word, line);
    }
  }
  return line;
}

}  // namespace homolog
