// Lines of our INI files: what a run's config.ini says, and where a key stands in a file.
// Reads alone; Options parses, checks and says what is wrong.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace homolog {

struct IniLine {
  std::string key, value;  // "section.key", both without blanks around them
  int number;              // from 1
};
// Every line with a "=", in order; blank lines and those that begin with # are left out.
std::vector<IniLine> ini_lines(const std::string& text);

// "section.key" -> value; of a key that is given twice the last.
std::map<std::string, std::string> flat_settings(const std::string& ini);

// The text with another value of a key that it has; the last one, where it is given twice.
std::string with_setting(const std::string& ini, const std::string& key, const std::string& value);

}  // namespace homolog
