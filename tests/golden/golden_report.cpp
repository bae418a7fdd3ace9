#include "golden_report.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace homolog::golden {
namespace {

std::string& report_file() {
  static std::string file;
  return file;
}

}  // namespace

void report_to(const std::string& file) { report_file() = file; }

void report_line(const ReportLine& line) {
  if (report_file().empty()) return;
  nlohmann::json row = {{"fixture", line.fixture},     {"tensor", line.tensor}, {"rule", line.rule},
                        {"deviation", nullptr},  // stays so where it has no bound
                        {"tolerance", line.tolerance}, {"reason", line.reason}};
  if (std::isfinite(line.deviation)) row["deviation"] = line.deviation;
  std::ofstream out(report_file(), std::ios::app);
  if (!(out << row.dump() + "\n"))
    throw Error(Fault::Environment, "cannot write the report " + report_file(),
                "name a file that can be written");
}

}  // namespace homolog::golden
