// Soft Dice plus cross entropy, the loss of segmentation (method.md 6.1). Names, defaults and
// values are those of MONAI's DiceCELoss, so that recipes carry over.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace homolog::task {

enum class Activation { Softmax, Sigmoid, None };  // what the Dice part sees of the logits

struct DiceCeOptions {
  Activation activation = Activation::Softmax;
  bool include_background = true;  // class 0 in the Dice part
  bool squared = false;            // squares in Dice's denominator
  bool jaccard = false;            // intersection over union in place of Dice
  bool batch = false;              // one Dice over all samples in place of one each
  double smooth_numerator = 1e-5, smooth_denominator = 1e-5;
  double dice_weight = 1, cross_entropy_weight = 1;
  double label_smoothing = 0;         // of the cross entropy, 0..1
  std::vector<double> class_weights;  // empty: all 1; one per class, background included
};

struct DiceCe {  // scalars; total = dice_weight dice + cross_entropy_weight cross_entropy
  at::Tensor total, dice, cross_entropy;
};

// `logits_BCXYZ`, made float32 at least; `target` either (B, 1, X, Y, Z)
// class numbers, integers or whole floats, or (B, C, X, Y, Z) one-hot, multi-label or soft. With
// one channel of logits the cross entropy is binary. With several it is over their softmax, also
// where Dice uses Sigmoid. Throws Error(Fault::Data) on other shapes, and on class numbers that are
// not one of the C (checked on the CPU alone, where it costs no wait for a device).
DiceCe dice_ce(const at::Tensor& logits_BCXYZ, const at::Tensor& target,
               const DiceCeOptions& options = {});

}  // namespace homolog::task
