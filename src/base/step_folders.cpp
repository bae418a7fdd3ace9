// Any other name, such as a temporary or an abandoned one, is no checkpoint.
#include "base/step_folders.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>

namespace homolog {

std::optional<std::int64_t> step_of(std::string_view folder_name) {
  constexpr std::string_view kPrefix = "step-";
  if (!folder_name.starts_with(kPrefix)) return std::nullopt;
  std::int64_t step = -1;
  const char* last = folder_name.data() + folder_name.size();
  const auto [end, bad] = std::from_chars(folder_name.data() + kPrefix.size(), last, step);
  return bad == std::errc() && end == last && step >= 0 ? std::optional(step) : std::nullopt;
}

std::vector<StepFolder> step_folders(const std::filesystem::path& checkpoints) {
  std::vector<StepFolder> found;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints, none)) {
    const auto step = step_of(entry.path().filename().string());
    if (!step) continue;
    std::error_code gone;  // a checkpoint may be removed while we look
    found.push_back(
        {entry.path(), *step, std::filesystem::exists(entry.path() / "manifest.json", gone)});
  }
  std::sort(found.begin(), found.end(),
            [](const StepFolder& a, const StepFolder& b) { return a.step < b.step; });
  return found;
}

}  // namespace homolog
