// A command line taken apart, by Boost.Program_options. Nothing is assigned yet, because files come
// before the command line whatever their order in it.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/option_table.h"

namespace homolog {

struct CommandLine {
  std::vector<std::filesystem::path> files;                   // --config
  std::vector<std::pair<std::string, std::string>> settings;  // --set KEY=VALUE
  std::vector<std::pair<std::string, std::string>> options;   // --KEY VALUE
  bool help = false;                 // --help, -h; what follows it was not looked at
  bool dump = false, check = false;  // --dump-config, --check-config
};

// Words without a dash go to the table's positional, what other programs may want to its
// config_arguments. Throws Fault::Usage.
CommandLine read_command_line(OptionTable& table, int argc, const char* const* argv);

}  // namespace homolog
