#include "task/overlap_metrics.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/error.h"

namespace homolog::task {
namespace {

std::vector<double> listed(const at::Tensor& values) {
  const at::Tensor flat = values.to(at::kCPU, at::kDouble).contiguous();
  return {flat.const_data_ptr<double>(), flat.const_data_ptr<double>() + flat.numel()};
}

}  // namespace

at::Tensor dice(const at::Tensor& predicted_BCXYZ, const at::Tensor& truth_BCXYZ,
                const DiceRule& rule) {
  if (predicted_BCXYZ.sizes() != truth_BCXYZ.sizes() || truth_BCXYZ.dim() < 3) {
    throw Error(Fault::Data, "Dice of two masks that differ in shape",
                "give both as cases, classes, X, Y, Z");
  }
  at::Tensor predicted = predicted_BCXYZ.to(at::kBool).flatten(2);
  at::Tensor truth = truth_BCXYZ.to(at::kBool).flatten(2);
  const std::int64_t classes = truth.size(1);
  if (!rule.include_background && classes > 1) {
    predicted = predicted.narrow(1, 1, classes - 1);
    truth = truth.narrow(1, 1, classes - 1);
  }
  const auto voxels = [](const at::Tensor& mask_BCV) {
    return mask_BCV.sum(-1).to(at::kCPU, at::kDouble);
  };
  const at::Tensor true_BC = voxels(truth), both_BC = true_BC + voxels(predicted);
  const at::Tensor empty_BC = rule.ignore_empty
                                  ? at::full_like(true_BC, std::numeric_limits<double>::quiet_NaN())
                                  : both_BC.eq(0).to(at::kDouble);
  return at::where(true_BC > 0, 2 * voxels(predicted & truth) / both_BC, empty_BC);
}

at::Tensor class_masks(const at::Tensor& labels, std::int64_t classes) {
  const at::Tensor numbers_BXYZ = labels.dim() == 5 ? labels.squeeze(1) : labels;
  const at::Tensor class_C111 = at::arange(classes, labels.options()).view({classes, 1, 1, 1});
  return numbers_BXYZ.unsqueeze(1).eq(class_C111).to(at::kByte);
}

double mean_score(const at::Tensor& scores_BC) {
  return scores_BC.nanmean(1).nanmean().item<double>();
}

std::vector<double> mean_per_class(const at::Tensor& scores_BC) {
  return listed(scores_BC.nanmean(0));
}

std::vector<double> mean_per_case(const at::Tensor& scores_BC) {
  return listed(scores_BC.nanmean(1));
}

}  // namespace homolog::task
