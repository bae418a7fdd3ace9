// The numbers of Alice's loss (method.md 4): temperatures, centred cross-entropies, reconstruction
// and centres, as pure functions of logits, so that the reference's values can be held against
// each.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

namespace homolog::objective::alice {

struct LossPlan {
  double lambda_inter = 1, lambda_intra = 1, lambda_reconstruction = 10;
  double reconstruction_scale = 0.5;          // the reference halves the mean squared error
  std::string reconstruction_region = "all";  // or "masked"
  double student_temperature = 0.1;
  double target_temperature_start = 0.008, target_temperature = 0.010;
  std::int64_t temperature_epochs = 30;  // points of the linear warm-up, end included
  std::int64_t intra_start_epoch = 0;    // the token temperature's warm-up begins here
  double centre_momentum = 0.9;
};

// Temperature of the target's distribution in an epoch, warm-up beginning at `start_epoch`.
double target_temperature(const LossPlan& plan, std::int64_t epoch, std::int64_t start_epoch = 0);

// Mean over rows (all but the last axis) of H(softmax((target - centre) / target_t),
// softmax(student / student_t)), in float32; the target's side is detached.
at::Tensor distillation(const at::Tensor& target, const at::Tensor& centre, double target_t,
                        const at::Tensor& student, double student_t);

// Unweighted terms over a batch of cat(query rows, key rows).
// inter: class logits, crossed (target Q against student K and the reverse), halved.
at::Tensor inter_loss(const LossPlan& plan, const at::Tensor& target_BD,
                      const at::Tensor& centre_1D, const at::Tensor& student_BD,
                      std::int64_t epoch);
// intra: tokens, straight, halved.
at::Tensor intra_loss(const LossPlan& plan, const at::Tensor& target_BTD,
                      const at::Tensor& centre_11D, const at::Tensor& student_BTD,
                      std::int64_t epoch);
// Scaled mean squared error; `visible` (1 seen, 0 masked) matters for region "masked" alone.
at::Tensor reconstruction_loss(const LossPlan& plan, const at::Tensor& output_B1XYZ,
                               const at::Tensor& image_B1XYZ, const at::Tensor& visible_B1XYZ);

// Sum over rows of the raw target outputs, then their count: (D + 1), float32.
at::Tensor centre_sums(const at::Tensor& target, std::int64_t width);
// centre <- momentum * centre + (1 - momentum) * sums / count; unchanged when nothing was counted.
void update_centre(at::Tensor centre, const at::Tensor& sums_and_count, double momentum);

}  // namespace homolog::objective::alice
