// The report as plain text, for a terminal or the end of a job's log.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/clock.h"
#include "monitoring/part_labels.h"
#include "monitoring/report.h"

namespace homolog::monitoring {
namespace {

template <class... Values>
void add(std::string& text, const char* format, Values... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  text += std::string(line) + "\n";
}

std::string steps_line(const RunReport& r) {
  std::string text = "steps       " + std::to_string(r.reached) +
                     (r.planned > 0 ? " of " + std::to_string(r.planned) : "") + " reached; " +
                     std::to_string(r.log.totals().skipped) + " skipped";
  for (std::size_t i = 0; i < r.resumed_at.size(); ++i)
    text += (i == 0 ? "; resumed at step " : ", ") + std::to_string(r.resumed_at[i]);
  return text + "\n";
}

std::string lists(const RunReport& r) {
  std::string text = "\nwhere the time went (rank 0)\n";
  for (const PhaseShare& phase : r.phases) {
    const auto cells = static_cast<std::size_t>(std::lround(40 * phase.share));
    add(text, "  %-22s %7s  %s", part_label(phase.part).c_str(), percent(phase.share).c_str(),
        std::string(cells, '#').c_str());
  }
  text += "\ncheckpoints\n";
  for (const CheckpointFolder& c : r.checkpoints)
    add(text, "  %s  %.1f MB", c.name.c_str(), static_cast<double>(c.bytes) / 1e6);
  if (r.checkpoints.empty()) text += "  none\n";
  text += "\nadvice\n";
  for (const std::string& advice : r.advice) text += "  - " + advice + "\n";
  if (r.advice.empty()) text += "  nothing stands out\n";
  return text;
}

}  // namespace

std::string as_text(const RunReport& r) {
  std::string text;
  add(text, "run         %s%s%s", r.identity.name.c_str(),
      r.identity.started.empty() ? "" : ", started ", r.identity.started.c_str());
  text += "end         " + r.end.message + "\n";  // may be longer than add() takes
  add(text, "trained by  homolog %s, %lld rank%s",
      r.identity.version.empty() ? "(unknown)" : r.identity.version.c_str(),
      static_cast<long long>(std::max<std::int64_t>(1, r.identity.world)),
      r.identity.world > 1 ? "s" : "");
  if (!r.identity.store.empty())
    add(text, "pairs from  %s %s", r.identity.store.c_str(), r.identity.store_hash.c_str());
  text += steps_line(r);
  add(text, "loss        %.4g in the first tenth, %.4g in the last, %.4g in the best", r.loss.first,
      r.loss.last, r.loss.best);
  if (!r.log.validation().empty() && r.log.validation().back().values.contains("total")) {
    add(text, "held out    %.4g at step %lld", r.log.validation().back().values.at("total"),
        static_cast<long long>(r.log.validation().back().step));
  }
  add(text, "speed       %.4g pairs/s; %s in steps", r.pairs_per_s,
      human_duration(r.log.totals().seconds).c_str());
  return text + lists(r);
}

}  // namespace homolog::monitoring
