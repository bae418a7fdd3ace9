#include "base/error.h"

#include <filesystem>

namespace homolog {

int exit_code(Fault fault) noexcept { return static_cast<int>(fault); }

const char* fault_name(Fault fault) noexcept {
  switch (fault) {
    case Fault::Usage:
      return "usage";
    case Fault::Data:
      return "data";
    case Fault::Environment:
      return "environment";
    case Fault::Diverged:
      return "diverged";
    case Fault::Replicas:
      return "replicas";
    case Fault::Stopped:
      return "stopped";
    case Fault::NoProgress:
      return "no-progress";
  }
  return "unknown";
}

Error::Error(Fault fault, const std::string& what, const std::string& remedy,
             std::source_location where)
    : std::runtime_error(remedy.empty() ? what : what + "\n  fix: " + remedy),
      fault_(fault),
      summary_(what),
      remedy_(remedy),
      where_(where) {}

std::string Error::where() const {
  return std::filesystem::path(where_.file_name()).filename().string() + ":" +
         std::to_string(where_.line());
}

}  // namespace homolog
