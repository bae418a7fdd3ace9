// Overlap of two segmentations, and how scores of cases and classes are averaged (method.md 6.1).
// Rules for empty masks are MONAI's.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace homolog::task {

struct DiceRule {
  bool include_background = false;  // class 0
  // A class that the truth lacks: not scored (NaN); or else 1 when it is not predicted either, and
  // 0 when it is.
  bool ignore_empty = true;
};

// 2 |P and T| / (|P| + |T|) per case and class: (B, C) or (B, C - 1) float64, CPU.
// Masks (B, C, X, Y, Z): bool or 0/1, one channel a class, same shape.
// Throws Error(Fault::Data) on other shapes.
at::Tensor dice(const at::Tensor& predicted_BCXYZ, const at::Tensor& truth_BCXYZ,
                const DiceRule& rule = {});

// One channel a class, uint8, from class numbers (B, 1, X, Y, Z) or (B, X, Y, Z).
at::Tensor class_masks(const at::Tensor& labels, std::int64_t classes);

// Scores (B, C), NaN where there is none. NaN, where MONAI gives 0, when nothing is scored at all:
// a distance of 0 would be the best there is.
double mean_score(const at::Tensor& scores_BC);                   // over classes, then cases
std::vector<double> mean_per_class(const at::Tensor& scores_BC);  // over cases
std::vector<double> mean_per_case(const at::Tensor& scores_BC);   // over classes

}  // namespace homolog::task
