#include "cluster/doctor/rung.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace homolog::doctor {
namespace {

constexpr std::size_t kVerdictWidth = 14, kNameWidth = 20;

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

std::string counted(std::int64_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

}  // namespace

const char* verdict_name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::Ok:
      return "ok";
    case Verdict::NotMeasured:
      return "not measured";
    case Verdict::Warn:
      return "warn";
    case Verdict::Failed:
      return "FAILED";
  }
  return "unknown";
}

void Rung::find(Verdict at_least, std::string finding, const std::string& how_to_mend) {
  findings.push_back(std::move(finding));
  if (remedy.empty() || at_least > verdict) remedy = how_to_mend;
  verdict = std::max(verdict, at_least);
}

Rung not_measured(std::string name, std::string why) {
  return {.name = std::move(name),
          .verdict = Verdict::NotMeasured,
          .measured = std::move(why),
          .findings = {},
          .remedy = {}};
}

Verdict worst(const std::vector<Rung>& rungs) noexcept {
  Verdict found = Verdict::Ok;
  for (const Rung& rung : rungs) {
    if (rung.verdict != Verdict::NotMeasured) found = std::max(found, rung.verdict);
  }
  return found;
}

std::string text_of(const Rung& rung) {
  const std::string indent(kVerdictWidth + kNameWidth, ' ');
  std::string text = padded(verdict_name(rung.verdict), kVerdictWidth) +
                     padded(rung.name, kNameWidth) + rung.measured + "\n";
  for (const std::string& finding : rung.findings) text += indent + "! " + finding + "\n";
  if (!rung.remedy.empty()) text += indent + "fix: " + rung.remedy + "\n";
  return text;
}

std::string summary_of(const std::vector<Rung>& rungs) {
  std::string failed;
  std::int64_t failures = 0, warnings = 0;
  for (const Rung& rung : rungs) {
    warnings += rung.verdict == Verdict::Warn ? 1 : 0;
    if (rung.verdict != Verdict::Failed) continue;
    failed += (failures++ == 0 ? "" : ", ") + rung.name;
  }
  const std::string warned = warnings == 0 ? "" : ", " + counted(warnings, "warning");
  if (failures > 0)
    return "not fit to train: " + counted(failures, "rung") + " failed (" + failed + ")" + warned;
  return "fit to train" + warned;
}

std::string json_of(const std::vector<Rung>& rungs, const std::vector<std::string>& hosts) {
  nlohmann::ordered_json report;
  report["verdict"] = verdict_name(worst(rungs));
  report["summary"] = summary_of(rungs);
  report["world"] = hosts.size();
  report["hosts"] = hosts;
  report["rungs"] = nlohmann::ordered_json::array();
  for (const Rung& rung : rungs) {
    nlohmann::ordered_json row = {
        {"name", rung.name},         {"verdict", verdict_name(rung.verdict)},
        {"measured", rung.measured}, {"findings", rung.findings},
        {"fix", rung.remedy},        {"seconds", rung.seconds}};
    auto figures = nlohmann::ordered_json::array();
    for (const Figure& figure : rung.figures) {
      auto values = nlohmann::ordered_json::array();
      for (const double value : figure.per_rank) {
        if (std::isfinite(value))
          values.push_back(value);
        else
          values.push_back(nullptr);
      }
      figures.push_back({{"name", figure.name}, {"unit", figure.unit}, {"per_rank", values}});
    }
    row["figures"] = figures;
    report["rungs"].push_back(row);
  }
  // Names of folders and hosts need not be UTF-8.
  return report.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace homolog::doctor
