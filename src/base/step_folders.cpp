// Any other name, such as a temporary or an abandoned one, is no checkpoint.
#include "base/step_folders.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>

namespace homolog {

std::vector<StepFolder> step_folders(const std::filesystem::path& checkpoints) {
  constexpr std::size_t kPrefix = 5;
  std::vector<StepFolder> found;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints, none)) {
    const std::string name = entry.path().filename().string();
    std::int64_t step = -1;
    if (!name.starts_with("step-")) continue;
    const char* last = name.data() + name.size();
    const auto [end, bad] = std::from_chars(name.data() + kPrefix, last, step);
    if (bad != std::errc() || end != last || step < 0) continue;
    std::error_code gone;  // a checkpoint may be removed while we look
    found.push_back(
        {entry.path(), step, std::filesystem::exists(entry.path() / "manifest.json", gone)});
  }
  std::sort(found.begin(), found.end(),
            [](const StepFolder& a, const StepFolder& b) { return a.step < b.step; });
  return found;
}

}  // namespace homolog
