// The one file that includes spdlog.
#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/error.h"

namespace homolog::log {
namespace {

struct Sinks {
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> terminal;
  std::shared_ptr<spdlog::logger> file;
  int rank = 0;

  Sinks() {
    terminal = std::make_shared<spdlog::logger>(
        "terminal", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    terminal->set_pattern("%H:%M:%S %^%L%$ %v");
    terminal->set_level(spdlog::level::info);
  }
};

Sinks& sinks() {
  static Sinks instance;  // a process has one stderr
  return instance;
}

std::string as_text(std::string_view event, std::initializer_list<Field> fields) {
  std::string line(event);
  for (const Field& field : fields) {
    line += "  ";
    line += field.key;
    line += '=';
    std::visit(
        [&line](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, std::string>)
            line += v;
          else if constexpr (std::is_same_v<T, bool>)
            line += v ? "true" : "false";
          else if constexpr (std::is_integral_v<T>)
            line += std::to_string(v);
          else
            line += fmt::format("{:.6g}", static_cast<double>(v));
        },
        field.value);
  }
  return line;
}

std::string as_json(std::string_view level, int rank, std::string_view event,
                    std::initializer_list<Field> fields) {
  nlohmann::ordered_json line;
  line["time"] = utc_timestamp();
  line["level"] = level;
  line["rank"] = rank;
  line["event"] = event;
  for (const Field& field : fields) {
    std::visit([&](const auto& v) { line[std::string(field.key)] = v; }, field.value);
  }
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void write(spdlog::level::level_enum level, std::string_view name, std::string_view event,
           std::initializer_list<Field> fields) {
  Sinks& s = sinks();
  const std::lock_guard lock(s.mutex);
  if (s.terminal->should_log(level)) s.terminal->log(level, as_text(event, fields));
  if (s.file) s.file->log(level, as_json(name, s.rank, event, fields));
}

}  // namespace

void info(std::string_view event, std::initializer_list<Field> fields) {
  write(spdlog::level::info, "info", event, fields);
}
void warn(std::string_view event, std::initializer_list<Field> fields) {
  write(spdlog::level::warn, "warn", event, fields);
}
void error(std::string_view event, std::initializer_list<Field> fields) {
  write(spdlog::level::err, "error", event, fields);
}

void open(const std::filesystem::path& file, int rank) {
  Sinks& s = sinks();
  const std::lock_guard lock(s.mutex);
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string());
    sink->set_pattern("%v");
    s.file = std::make_shared<spdlog::logger>("file", sink);
    s.file->flush_on(spdlog::level::info);
    s.file->set_error_handler([](const std::string& message) {
      static bool told = false;
      if (!told)
        std::fprintf(stderr, "log file: %s; further log lines go to stderr only\n",
                     message.c_str());
      told = true;
    });
    s.rank = rank;
  } catch (const spdlog::spdlog_ex& e) {
    throw Error(Fault::Environment, "cannot write the log " + file.string() + ": " + e.what(),
                "choose a run folder on a disk that is writable and has space");
  }
}

void set_terminal_level(std::string_view level) {
  sinks().terminal->set_level(level == "off"     ? spdlog::level::off
                              : level == "error" ? spdlog::level::err
                              : level == "warn"  ? spdlog::level::warn
                                                 : spdlog::level::info);
}

}  // namespace homolog::log
