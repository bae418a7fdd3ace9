#include "base/option_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace homolog::option_value {
namespace {

struct Wrong {
  std::string expected;
};

std::string number_text(double value) {
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return {buffer, end};
}

void check_range(double value, const Rule& rule) {
  if (!(value >= rule.min && value <= rule.max)) throw Wrong{"a value" + describe(rule)};
}

template <class T>
T number(const std::string& text, const Rule& rule) {
  T value{};
  const bool plus = text.starts_with('+') && !text.starts_with("+-");  // from_chars knows no '+'
  const char* begin = text.data() + (plus ? 1 : 0);
  const auto [end, code] = std::from_chars(begin, text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || text.empty()) {
    throw Wrong{std::is_integral_v<T> ? "a whole number" : "a number"};
  }
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) throw Wrong{"a finite number"};
  }
  check_range(static_cast<double>(value), rule);
  return value;
}

void read(const std::string& text, const Rule& rule, std::int64_t& out) {
  out = number<std::int64_t>(text, rule);
}
void read(const std::string& text, const Rule& rule, int& out) { out = number<int>(text, rule); }
void read(const std::string& text, const Rule& rule, std::uint64_t& out) {
  out = number<std::uint64_t>(text, rule);
}
void read(const std::string& text, const Rule& rule, double& out) {
  out = number<double>(text, rule);
}
bool is_among(const std::string& text, std::initializer_list<const char*> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}
bool is_yes(const std::string& text) { return is_among(text, {"true", "yes", "on", "1"}); }
bool is_no(const std::string& text) { return is_among(text, {"false", "no", "off", "0"}); }
void read(const std::string& text, const Rule&, bool& out) {
  if (!is_yes(text) && !is_no(text)) throw Wrong{"true or false"};
  out = is_yes(text);
}
void read(const std::string& text, const Rule& rule, std::string& out) {
  const auto& choices = rule.choices;
  if (!choices.empty() && std::find(choices.begin(), choices.end(), text) == choices.end()) {
    const std::string near = nearest_word(text, choices);
    throw Wrong{"a value" + describe(rule) + (near.empty() ? "" : "; did you mean " + near + "?")};
  }
  out = text;
}
void read(const std::string& text, const Rule&, std::filesystem::path& out) { out = text; }
template <class T>
void read(const std::string& text, const Rule& rule, std::vector<T>& out) {
  std::vector<T> list;
  for (std::size_t begin = 0;
       !text.empty() && begin <= text.size();) {  // "4," ends in an empty entry: wrong
    const auto end = std::min(text.find(',', begin), text.size());
    std::string part = text.substr(begin, end - begin);
    begin = end + 1;
    part.erase(0, part.find_first_not_of(" \t"));
    part.erase(part.find_last_not_of(" \t") + 1);
    T value{};
    read(part, rule, value);
    list.push_back(value);
  }
  out = std::move(list);
}

template <class T>
std::string text_of(const T& value) {
  if constexpr (std::is_same_v<T, bool>)
    return value ? "true" : "false";
  else if constexpr (std::is_floating_point_v<T>)
    return number_text(value);
  else if constexpr (std::is_integral_v<T>)
    return std::to_string(value);
  else if constexpr (std::is_same_v<T, std::filesystem::path>)
    return value.string();
  else
    return value;
}
template <class T>
std::string text_of(const std::vector<T>& list) {
  std::string text;
  for (const T& value : list) text += (text.empty() ? "" : ",") + text_of(value);
  return text;
}

}  // namespace

void assign(const Options::Target& target, const Rule& rule, const std::string& key,
            const std::string& text, const std::string& where) {
  try {
    std::visit([&](auto* value) { read(text, rule, *value); }, target);
  } catch (const Wrong& wrong) {
    throw Error(Fault::Usage, where + ": " + key + " = '" + text + "' is not valid",
                "give " + wrong.expected + (rule.unit.empty() ? "" : ", in " + rule.unit));
  }
}

bool is_bool(const std::string& text) { return is_yes(text) || is_no(text); }

std::string print(const Options::Target& target) {
  return std::visit([](const auto* value) { return text_of(*value); }, target);
}

std::string describe(const Rule& rule) {
  if (!rule.choices.empty()) {
    std::string text;
    for (const std::string& choice : rule.choices) text += (text.empty() ? "" : ", ") + choice;
    return " (one of: " + text + ")";
  }
  const bool low = std::isfinite(rule.min), high = std::isfinite(rule.max);
  if (low && high) return " (" + number_text(rule.min) + " to " + number_text(rule.max) + ")";
  if (low) return " (at least " + number_text(rule.min) + ")";
  if (high) return " (at most " + number_text(rule.max) + ")";
  return "";
}

}  // namespace homolog::option_value
