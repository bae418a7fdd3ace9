#include "cluster/topology/hosts.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <sstream>

#include "base/error.h"

namespace homolog::topology {
namespace {

constexpr std::size_t kMostHosts = 65536;

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw Error(Fault::Usage, "host list '" + std::string(text) + "': " + why,
              "write it as SLURM does: node[01-04,7],login2");
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::vector<std::string_view> split_outside_brackets(std::string_view text) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  int depth = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '[' && ++depth > 1) refuse(text, "'[' inside '['");
    if (i < text.size() && text[i] == ']' && --depth < 0) refuse(text, "']' without '['");
    if (i == text.size() || (text[i] == ',' && depth == 0)) {
      parts.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  if (depth != 0) refuse(text, "'[' is not closed");
  return parts;
}

// "1-3,07" -> "1" "2" "3" "07"; a leading zero fixes the width.
std::vector<std::string> expand_ranges(std::string_view inside, std::string_view text) {
  std::vector<std::string> words;
  for (std::string_view part : split_outside_brackets(inside)) {
    const auto dash = part.find('-');
    const std::string_view first = part.substr(0, dash);
    const std::string_view last = dash == std::string_view::npos ? first : part.substr(dash + 1);
    const auto from = whole_number(first), to = whole_number(last);
    if (!from || !to) refuse(text, "'" + std::string(part) + "' is not a range of numbers");
    if (*to < *from) refuse(text, "the range '" + std::string(part) + "' runs backwards");
    if (static_cast<std::size_t>(*to - *from) >= kMostHosts) refuse(text, "more than 65536 hosts");
    const std::size_t width = first.size() > 1 && first[0] == '0' ? first.size() : 0;
    for (std::int64_t n = *from; n <= *to; ++n) {
      std::string digits = std::to_string(n);
      if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
      words.push_back(digits);
    }
  }
  return words;
}

std::vector<std::string> expand_name(std::string_view name, std::string_view text) {
  std::vector<std::string> names = {""};
  while (!name.empty()) {
    const auto open = name.find('[');
    for (std::string& n : names) n += std::string(name.substr(0, open));
    if (open == std::string_view::npos) break;
    const auto close = name.find(']', open);
    const auto words = expand_ranges(name.substr(open + 1, close - open - 1), text);
    if (names.size() * words.size() > kMostHosts) refuse(text, "more than 65536 hosts");
    std::vector<std::string> longer;
    for (const std::string& n : names) {
      for (const std::string& w : words) longer.push_back(n + w);
    }
    names = std::move(longer);
    name.remove_prefix(close + 1);
  }
  return names;
}

}  // namespace

std::vector<std::string> expand_host_list(std::string_view text) {
  std::vector<std::string> hosts;
  for (std::string_view part : split_outside_brackets(text)) {
    if (part.empty()) refuse(text, "an empty name");
    const auto names = expand_name(part, text);
    hosts.insert(hosts.end(), names.begin(), names.end());
    if (hosts.size() > kMostHosts) refuse(text, "more than 65536 hosts");
  }
  return hosts;
}

std::vector<int> expand_task_counts(std::string_view text) {
  std::vector<int> counts;
  for (std::string_view part : split_outside_brackets(text)) {
    const auto open = part.find("(x");
    const auto count = whole_number(part.substr(0, open));
    std::optional<std::int64_t> times = 1;
    if (open != std::string_view::npos) {
      times = part.back() == ')' ? whole_number(part.substr(open + 2, part.size() - open - 3))
                                 : std::nullopt;
    }
    if (!count || !times || *count < 1 || *times < 1 || counts.size() + *times > kMostHosts) {
      throw Error(
          Fault::Usage,
          "task counts '" + std::string(text) + "': cannot read '" + std::string(part) + "'",
          "SLURM writes SLURM_TASKS_PER_NODE as 2(x3),1");
    }
    counts.insert(counts.end(), static_cast<std::size_t>(*times), static_cast<int>(*count));
  }
  return counts;
}

std::vector<Host> parse_host_file(std::string_view text, const std::string& where) {
  std::vector<Host> hosts;
  std::istringstream in{std::string(text)};
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    std::istringstream words(line.substr(0, line.find('#')));
    Host host;
    if (!(words >> host.name)) continue;
    std::int64_t slots = 1;  // 0: not to be read
    if (const auto colon = host.name.find(':'); colon != std::string::npos) {
      slots = whole_number(std::string_view(host.name).substr(colon + 1)).value_or(0);
      host.name.resize(colon);
    }
    for (std::string word; words >> word;) {
      if (word.starts_with("slots="))
        slots = whole_number(std::string_view(word).substr(6)).value_or(0);
      else if (!word.starts_with("max_slots=") && !word.starts_with("max-slots="))
        slots = 0;
    }
    if (slots < 1 || host.name.empty()) {
      throw Error(Fault::Usage,
                  where + ":" + std::to_string(number) + ": cannot read '" + line + "'",
                  "write NAME slots=N, one host a line");
    }
    host.slots = static_cast<int>(slots);
    const auto same = std::find_if(hosts.begin(), hosts.end(),
                                   [&](const Host& h) { return h.name == host.name; });
    if (same == hosts.end())
      hosts.push_back(host);
    else
      same->slots += host.slots;
  }
  if (hosts.empty())
    throw Error(Fault::Usage, where + ": names no host", "write NAME slots=N, one host a line");
  return hosts;
}

}  // namespace homolog::topology
