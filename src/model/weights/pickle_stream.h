// The bytes of a pickle, each read checked against the end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace homolog::model {

class PickleStream {
 public:
  PickleStream(std::string_view data, std::string origin)
      : data_(data), origin_(std::move(origin)) {}
  std::size_t offset() const noexcept { return at_; }
  // Throws Fault::Data naming file and offset.
  [[noreturn]] void broken(const std::string& why) const;

  std::uint8_t byte() { return static_cast<std::uint8_t>(take(1).front()); }
  std::string_view take(std::uint64_t bytes);
  std::uint64_t little(int bytes);  // unsigned, little-endian
  std::string_view line();          // up to '\n', which is taken too
  std::string_view counted(int bytes) { return take(little(bytes)); }
  double big_endian_double();
  std::int64_t decimal(std::string_view digits) const;  // "12", "12L"
  double decimal_double();                              // of a line

 private:
  std::string_view data_;
  std::string origin_;
  std::size_t at_ = 0;
};

// A Python literal in quotes, with its backslash escapes; false: not one.
bool unquote(std::string_view literal, std::string& text);
// Protocol 0's texts: \uXXXX, \UXXXXXXXX and \\ as they stand there, the rest Latin-1; to UTF-8.
bool unescape_unicode(std::string_view raw, std::string& text);

}  // namespace homolog::model
