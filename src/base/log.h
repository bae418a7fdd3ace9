// Structured events: text lines on stderr, JSON lines in a file. Shows neither spdlog nor fmt,
// because Torch ships another fmt (design section 6).
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace homolog::log {

struct Field {
  std::string_view key;
  std::variant<std::int64_t, double, bool, std::string> value;
  Field(std::string_view k, const char* v) : key(k), value(std::string(v)) {}
  Field(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  Field(std::string_view k, std::string_view v) : key(k), value(std::string(v)) {}
  Field(std::string_view k, const std::filesystem::path& v) : key(k), value(v.string()) {}
  Field(std::string_view k, bool v) : key(k), value(v) {}
  template <class T>
  requires std::is_floating_point_v<T> Field(std::string_view k, T v)
      : key(k), value(static_cast<double>(v)) {}
  template <class T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) Field(std::string_view k, T v)
      : key(k), value(static_cast<std::int64_t>(v)) {}
};

// An event is a short phrase; values go into fields. Never a patient's name, id or path component.
// Thread-safe. Before open() events go to stderr only.
void info(std::string_view event, std::initializer_list<Field> fields = {});
void warn(std::string_view event, std::initializer_list<Field> fields = {});
void error(std::string_view event, std::initializer_list<Field> fields = {});

// Also append JSON lines {"time","level","rank","event",fields...} to `file` (parents are made).
// A full disk never throws out of an event: the file sink is dropped with one line on stderr.
void open(const std::filesystem::path& file, int rank);

// Text shows on stderr from this level on: "info" (default), "warn", "error", "off".
void set_terminal_level(std::string_view level);

}  // namespace homolog::log
