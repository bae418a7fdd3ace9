// Slices -> volume, from positions alone: the order of names or instance numbers proves nothing.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "sharding/import/dicom_slice.h"
#include "sharding/import/orientation.h"

namespace homolog::import {
namespace {

std::string mm(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.2f mm", value);
  return buffer;
}

[[noreturn]] void refuse(const DicomSlice& slice, const std::string& why,
                         const std::string& remedy = "") {
  throw Error(Fault::Data, slice.file.string() + ": " + why, remedy);
}

Point3 minus(const Point3& a, const Point3& b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
double dot(const Point3& a, const Point3& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }

std::array<double, 9> direction_of(const DicomSlice& slice) {
  const auto& o = slice.orientation;
  return {o[0], o[3], o[1] * o[5] - o[2] * o[4], o[1], o[4], o[2] * o[3] - o[0] * o[5],
          o[2], o[5], o[0] * o[4] - o[1] * o[3]};
}

void check_alike(const std::vector<DicomSlice>& slices) {
  const DicomSlice& first = slices.front();
  for (const DicomSlice& slice : slices) {
    if (!slice.has_place)
      refuse(slice, "no slice position or orientation in the header; file order proves nothing");
    if (slice.rows != first.rows || slice.columns != first.columns) {
      refuse(slice, "slice size differs inside the series: " + std::to_string(slice.columns) +
                        " x " + std::to_string(slice.rows) + " and " +
                        std::to_string(first.columns) + " x " + std::to_string(first.rows));
    }
    for (std::size_t i = 0; i < 6; ++i) {
      if (!(std::abs(slice.orientation[i] - first.orientation[i]) < 1e-3))
        refuse(slice, "slice orientation differs inside the series");
    }
    if (!(slice.column_mm > 0) || !(slice.row_mm > 0) || slice.column_mm != slice.column_mm)
      refuse(slice, "pixel spacing must be above zero");
    if (!(slice.slope != 0) || !std::isfinite(slice.slope) || !std::isfinite(slice.intercept)) {
      refuse(slice, "rescale slope is " + std::to_string(slice.slope) + ": HU are lost");
    }
  }
}

// Sideways drift of the last slice against the first: what a tilted gantry leaves.
void check_tilt(const SliceStack& stack, const Point3& normal, double height) {
  const Point3 across = minus(stack.slices.back().position, stack.slices.front().position);
  const double sideways =
      std::sqrt(std::max(0.0, dot(across, across) - std::pow(dot(across, normal), 2)));
  if (sideways <= std::max(stack.grid.spacing.x, stack.grid.spacing.y)) return;
  char degrees[32];
  std::snprintf(degrees, sizeof degrees, "%.1f", std::atan2(sideways, height) * 180 / M_PI);
  refuse(stack.slices.front(),
         std::string("tilted gantry: slices step sideways (") + degrees +
             " degrees), so the volume is sheared",
         "resample the series to a right-angled grid first");
}

// Even steps along the normal; returns the step.
double check_steps(SliceStack& stack, const std::vector<double>& heights) {
  const auto& slices = stack.slices;
  std::vector<double> steps;
  for (std::size_t i = 1; i < heights.size(); ++i) steps.push_back(heights[i] - heights[i - 1]);
  std::vector<double> sorted = steps;
  std::nth_element(sorted.begin(),
                   sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) / 2),
                   sorted.end());
  const double usual =
      sorted[(sorted.size() - 1) / 2];  // lower median: a gap must not become the rule
  double worst = 0;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const std::string where = " at z = " + mm(slices[i + 1].position.z);
    if (steps[i] < 1e-3) refuse(slices[i + 1], "two slices at one place," + where);
    if (steps[i] > 1.5 * usual) {
      refuse(slices[i + 1],
             "missing slice: a step of " + mm(steps[i]) + where + ", the others are " + mm(usual));
    }
    worst = std::max(worst, std::abs(steps[i] - usual) / usual);
  }
  if (worst > 0.1)
    refuse(slices.front(), "uneven slice steps: they differ by " +
                               std::to_string(std::lround(worst * 100)) + " % from " + mm(usual));
  if (worst > 0.01)
    stack.warnings.push_back("slice steps vary by " + std::to_string(std::lround(worst * 100)) +
                             " % around " + mm(usual));
  return (heights.back() - heights.front()) / static_cast<double>(steps.size());
}

}  // namespace

SliceStack stack_slices(std::vector<DicomSlice> slices) {
  if (slices.empty()) throw Error(Fault::Data, "a series without slices");
  check_alike(slices);
  SliceStack stack;
  const DicomSlice& any = slices.front();
  const std::array<double, 9> direction = direction_of(any);
  if (!is_orthonormal(direction))
    refuse(any, "the rows and columns are not at right angles (orientation in the header)");
  stack.grid.direction = orthonormalised(direction);
  const Point3 normal{stack.grid.direction[2], stack.grid.direction[5], stack.grid.direction[8]};
  stack.grid.spacing = {any.column_mm, any.row_mm, any.thickness_mm > 0 ? any.thickness_mm : 1};
  if (!any.has_spacing) stack.warnings.push_back("no pixel spacing in the header, 1 mm assumed");
  std::stable_sort(slices.begin(), slices.end(), [&](const DicomSlice& a, const DicomSlice& b) {
    return dot(a.position, normal) < dot(b.position, normal);
  });
  stack.slices = std::move(slices);
  const auto& sorted = stack.slices;
  std::vector<double> heights;
  for (const DicomSlice& slice : sorted) heights.push_back(dot(slice.position, normal));
  if (heights.size() > 1) {
    stack.grid.spacing.z = check_steps(stack, heights);
    check_tilt(stack, normal, heights.back() - heights.front());
  }
  if (std::any_of(sorted.begin(), sorted.end(), [&](const DicomSlice& s) {
        return s.intercept != sorted.front().intercept || s.slope != sorted.front().slope;
      })) {
    stack.warnings.push_back(
        "rescale slope or intercept changes inside the series; honoured slice by slice");
  }
  stack.grid.origin = sorted.front().position;
  stack.grid.size = {sorted.front().columns, sorted.front().rows,
                     static_cast<std::int64_t>(sorted.size())};
  return stack;
}

}  // namespace homolog::import
