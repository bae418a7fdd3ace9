// How two lists of numbers are compared with a fixture: the rules of the fixtures' own checker.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace homolog::golden {

// As in a fixture's metadata ("tolerances"): [rule, tolerance] or [rule, tolerance, floor].
//   max    largest |a-b| / largest |b|
//   elem   largest |a-b| / max(|b|, floor * largest |b|)
//   frac   share of elements off by more than 1e-4 * largest |b|
//   exact  every element equal
// b is the stored side, its largest magnitude over finite elements. NaN matches NaN, an infinity
// itself; any other non-finite value is a deviation without bound.
struct Rule {
  std::string name = "max";
  double tolerance = 2e-5;  // of tensors that the fixture names no rule for
  double floor = 1e-5;

  // Throws Error{Data}: a rule this reader does not know.
  static Rule read(const nlohmann::json& tolerances, const std::string& tensor);
};

struct Deviation {
  double size = 0;          // in the rule's terms; compare with the tolerance
  std::int64_t worst = -1;  // element, row-major; -1: none is off
};

inline constexpr double kUnbounded = std::numeric_limits<double>::infinity();

// Lists of the same length.
Deviation deviation(const Rule& rule, const std::vector<double>& got,
                    const std::vector<double>& want);

// [mean, std (population), L2, min, max, numel] of a list against the stored ones, relative to the
// largest magnitude (L2: to itself).
double stats_deviation(const std::vector<double>& got, const std::vector<double>& stats);

}  // namespace homolog::golden
