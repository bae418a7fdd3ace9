// The declared options of one program and what was given for them. Behind Options, whose header
// stays free of it.
#pragma once

#include <map>

#include "base/options.h"

namespace homolog {

struct OptionEntry {
  std::string key, help, default_text;
  Options::Target target;
  Rule rule;
  bool set = false;
};

struct OptionTable {
  std::string program, usage, summary;
  std::vector<OptionEntry> entries;  // in the order of declaration
  std::map<std::string, std::size_t> index;
  std::vector<std::string> foreign_sections;
  std::string flag_section;  // keys of it are also flags without it
  std::vector<std::string>* positional = nullptr;
  std::string positional_name, positional_help;
  std::vector<std::filesystem::path> config_files;
  std::vector<std::string> config_arguments;

  bool is_foreign(const std::string& key) const;
  // "landmarks-per-study" for a key of the flag section, else "".
  std::string flag_of(const std::string& key) const;
  // `where` is FILE:LINE or "command line". All throw Fault::Usage.
  void assign(const std::string& key, const std::string& text, const std::string& where);
  void read_file(const std::filesystem::path& file);
  void check_required() const;
  [[noreturn]] void unknown(const std::string& key, const std::string& where) const;
};

struct Options::State : OptionTable {};

}  // namespace homolog
