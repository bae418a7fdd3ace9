// One line of JSON per comparison, for whoever wants the deviations and not only pass or fail
// (HOMOLOG_GOLDEN_REPORT=FILE, or --report FILE). `./run bench numerics` reads it.
#pragma once

#include <string>

namespace homolog::golden {

struct ReportLine {
  std::string fixture, tensor, rule;
  double deviation = 0, tolerance = 0;  // in the rule's terms
  std::string reason;                   // of a difference that is documented; else empty
};

// Lines are appended, so that several processes may share a file. Empty: no report.
void report_to(const std::string& file);
void report_line(const ReportLine& line);

}  // namespace homolog::golden
