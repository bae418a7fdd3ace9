// One pass over the text; what is no line of an INI file is left out.
#include "base/ini.h"

#include <sstream>

namespace homolog {
namespace {

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

std::vector<IniLine> ini_lines(const std::string& text) {
  std::vector<IniLine> lines;
  std::istringstream in(text);
  std::string section;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    line = trimmed(line);
    if (line.empty() || line[0] == '#') continue;
    const auto equals = line.find('=');
    if (line[0] == '[')
      section = line.substr(1, line.find(']') - 1) + ".";
    else if (equals != std::string::npos)
      lines.push_back(
          {section + trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)), number});
  }
  return lines;
}

std::map<std::string, std::string> flat_settings(const std::string& ini) {
  std::map<std::string, std::string> values;
  for (IniLine& line : ini_lines(ini)) values[line.key] = std::move(line.value);
  return values;
}

std::string with_setting(const std::string& ini, const std::string& key, const std::string& value) {
  int there = 0, number = 0;
  for (const IniLine& line : ini_lines(ini))
    if (line.key == key) there = line.number;
  std::istringstream in(ini);
  std::string out;
  for (std::string line; std::getline(in, line); out += line + "\n")
    if (++number == there) line = line.substr(0, line.find('=')) + "= " + value;
  return out;
}

}  // namespace homolog
