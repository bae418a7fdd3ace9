#include "task/dice_ce.h"

#include <ATen/ATen.h>

#include <string>

#include "base/error.h"

namespace homolog::task {
namespace {

std::string shape_of(const at::Tensor& t) {
  std::string text;
  for (const std::int64_t n : t.sizes()) text += (text.empty() ? "" : "x") + std::to_string(n);
  return text;
}

void check(const at::Tensor& logits, const at::Tensor& target, const DiceCeOptions& options) {
  bool fits = logits.dim() >= 3 && logits.dim() == target.dim() &&
              logits.size(0) == target.size(0) &&
              (target.size(1) == 1 || target.size(1) == logits.size(1));
  for (std::int64_t a = 2; fits && a < logits.dim(); ++a) fits = logits.size(a) == target.size(a);
  if (!fits) {
    throw Error(
        Fault::Data,
        "labels of shape " + shape_of(target) + " beside logits of shape " + shape_of(logits),
        "give one channel of class numbers, or as many channels as classes");
  }
  const std::int64_t classes = logits.size(1);
  if (!options.class_weights.empty() &&
      static_cast<std::int64_t>(options.class_weights.size()) != classes) {
    throw Error(Fault::Usage,
                std::to_string(options.class_weights.size()) + " class weights for " +
                    std::to_string(classes) + " classes",
                "give one weight for each class, background included");
  }
  if (classes > 1 && target.size(1) == 1 && target.is_cpu() && target.numel() > 0) {
    const double low = target.min().item<double>(), high = target.max().item<double>();
    if (low < 0 || high >= static_cast<double>(classes)) {
      throw Error(Fault::Data,
                  "labels from " + std::to_string(low) + " to " + std::to_string(high) +
                      " where the network has " + std::to_string(classes) + " classes",
                  "map the labels to 0.." + std::to_string(classes - 1));
    }
  }
}

at::Tensor activated(const at::Tensor& logits_BCXYZ, Activation activation) {
  if (activation == Activation::Sigmoid) return logits_BCXYZ.sigmoid();
  if (activation == Activation::Softmax && logits_BCXYZ.size(1) > 1) return logits_BCXYZ.softmax(1);
  return logits_BCXYZ;
}

// As many channels as the logits, in their type.
at::Tensor membership(const at::Tensor& target, const at::Tensor& logits_BCXYZ) {
  if (target.size(1) == logits_BCXYZ.size(1)) return target.to(logits_BCXYZ.scalar_type());
  return at::zeros_like(logits_BCXYZ).scatter(1, target.to(at::kLong), 1.0);
}

at::Tensor dice_part(const at::Tensor& logits_BCXYZ, const at::Tensor& target,
                     const at::Tensor& weights, const DiceCeOptions& options) {
  at::Tensor share_BCXYZ = activated(logits_BCXYZ, options.activation);
  at::Tensor truth_BCXYZ = membership(target, logits_BCXYZ);
  at::Tensor weight_C = weights;
  const std::int64_t classes = logits_BCXYZ.size(1);
  if (!options.include_background && classes > 1) {
    share_BCXYZ = share_BCXYZ.narrow(1, 1, classes - 1);
    truth_BCXYZ = truth_BCXYZ.narrow(1, 1, classes - 1);
    if (weight_C.defined()) weight_C = weight_C.narrow(0, 1, classes - 1);
  }
  std::vector<std::int64_t> summed;
  if (options.batch) summed.push_back(0);
  for (std::int64_t a = 2; a < logits_BCXYZ.dim(); ++a) summed.push_back(a);
  const auto size_of = [&](const at::Tensor& t) {
    return (options.squared ? t * t : t).sum(summed);
  };
  const at::Tensor common = (share_BCXYZ * truth_BCXYZ).sum(summed);
  const at::Tensor both = size_of(share_BCXYZ) + size_of(truth_BCXYZ);
  const at::Tensor below = options.jaccard ? 2 * (both - common) : both;
  at::Tensor loss =
      1 - (2 * common + options.smooth_numerator) / (below + options.smooth_denominator);
  if (weight_C.defined() && weight_C.numel() > 1) loss = loss * weight_C;
  return loss.mean();
}

at::Tensor cross_entropy_part(const at::Tensor& logits_BCXYZ, const at::Tensor& target,
                              const at::Tensor& weights, const DiceCeOptions& options) {
  if (logits_BCXYZ.size(1) == 1) {
    return at::binary_cross_entropy_with_logits(logits_BCXYZ, target.to(logits_BCXYZ.scalar_type()),
                                                /*weight=*/{}, /*pos_weight=*/weights);
  }
  const bool numbers = target.size(1) == 1;
  return at::cross_entropy_loss(
      logits_BCXYZ,
      numbers ? target.squeeze(1).to(at::kLong) : target.to(logits_BCXYZ.scalar_type()), weights,
      at::Reduction::Mean, /*ignore_index=*/-100, options.label_smoothing);
}

}  // namespace

DiceCe dice_ce(const at::Tensor& given_BCXYZ, const at::Tensor& target,
               const DiceCeOptions& options) {
  check(given_BCXYZ, target, options);
  // Half precision would lose small organs in sums over a whole patch.
  const at::Tensor logits_BCXYZ =
      given_BCXYZ.scalar_type() == at::kDouble ? given_BCXYZ : given_BCXYZ.to(at::kFloat);
  at::Tensor weights;
  if (!options.class_weights.empty()) {
    weights = at::tensor(at::ArrayRef<double>(options.class_weights)).to(logits_BCXYZ.options());
  }
  DiceCe result;
  result.dice = dice_part(logits_BCXYZ, target, weights, options);
  result.cross_entropy = cross_entropy_part(logits_BCXYZ, target, weights, options);
  result.total =
      options.dice_weight * result.dice + options.cross_entropy_weight * result.cross_entropy;
  return result;
}

}  // namespace homolog::task
