#include "model/weights/pickle_stream.h"

#include <bit>
#include <charconv>
#include <optional>

#include "base/error.h"

namespace homolog::model {
namespace {

void add_utf8(std::uint32_t code, std::string& text) {
  const auto tail = [&](int shift) {
    text += static_cast<char>(0x80U | ((code >> shift) & 0x3FU));
  };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0U | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0U | (code >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0U | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::optional<std::uint32_t> hex(std::string_view digits, std::size_t count) {
  std::uint32_t value = 0;
  if (digits.size() < count) return std::nullopt;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + count, value, 16);
  if (fault != std::errc() || end != digits.data() + count) return std::nullopt;
  return value;
}

}  // namespace

void PickleStream::broken(const std::string& why) const {
  throw Error(Fault::Data,
              origin_ + ": its pickle is damaged at byte " + std::to_string(at_) + ": " + why,
              "copy the file again, in full, or save its state dict once more");
}

std::string_view PickleStream::take(std::uint64_t bytes) {
  if (bytes > data_.size() - at_) {
    broken("it ends after " + std::to_string(data_.size()) + " bytes, " + std::to_string(bytes) +
           " more are needed here");
  }
  const std::string_view out = data_.substr(at_, bytes);
  at_ += bytes;
  return out;
}

std::uint64_t PickleStream::little(int bytes) {
  const std::string_view raw = take(static_cast<std::uint64_t>(bytes));
  std::uint64_t value = 0;
  for (int i = bytes - 1; i >= 0; --i)
    value = value << 8U | static_cast<std::uint8_t>(raw[static_cast<std::size_t>(i)]);
  return value;
}

std::string_view PickleStream::line() {
  const std::size_t end = data_.find('\n', at_);
  if (end == std::string_view::npos) broken("a line without an end");
  const std::string_view out = data_.substr(at_, end - at_);
  at_ = end + 1;
  return out;
}

double PickleStream::big_endian_double() {
  std::uint64_t bits = 0;
  for (const char c : take(8)) bits = bits << 8U | static_cast<std::uint8_t>(c);
  return std::bit_cast<double>(bits);
}

std::int64_t PickleStream::decimal(std::string_view digits) const {
  std::int64_t value = 0;
  if (digits.ends_with('L')) digits.remove_suffix(1);
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (fault != std::errc() || end != digits.data() + digits.size() || digits.empty())
    broken("an integer that is none, or beyond 64 bits");
  return value;
}

double PickleStream::decimal_double() {
  const std::string_view digits = line();
  double value = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (fault != std::errc() || end != digits.data() + digits.size()) broken("a number that is none");
  return value;
}

bool unquote(std::string_view literal, std::string& text) {
  if (literal.size() < 2 || literal.front() != literal.back() ||
      (literal.front() != '\'' && literal.front() != '"'))
    return false;
  literal = literal.substr(1, literal.size() - 2);
  for (std::size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] != '\\') {
      text += literal[i];
      continue;
    }
    if (++i >= literal.size()) return false;
    const std::size_t plain = std::string_view("\\'\"nrt").find(literal[i]);
    if (plain != std::string_view::npos) {
      text += "\\'\"\n\r\t"[plain];
    } else {
      const auto code =
          literal[i] == 'x' ? hex(literal.substr(i + 1), 2) : std::optional<std::uint32_t>();
      if (!code) return false;
      text += static_cast<char>(*code);
      i += 2;
    }
  }
  return true;
}

bool unescape_unicode(std::string_view raw, std::string& text) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const bool small = raw.substr(i).starts_with("\\u"), large = raw.substr(i).starts_with("\\U");
    if (!small && !large) {
      add_utf8(static_cast<std::uint8_t>(raw[i]), text);
      continue;
    }
    const std::size_t digits = small ? 4 : 8;
    const auto code = hex(raw.substr(i + 2), digits);
    if (!code || *code > 0x10FFFF) return false;
    add_utf8(*code, text);
    i += 1 + digits;
  }
  return true;
}

}  // namespace homolog::model
