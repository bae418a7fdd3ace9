// See alice_loss.h. Everything in float32 whatever the networks ran in.
#include "objective/alice_loss.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

namespace homolog::objective::alice {

double target_temperature(const LossPlan& plan, std::int64_t epoch, std::int64_t start_epoch) {
  const std::int64_t point = std::max<std::int64_t>(epoch - start_epoch, 0);
  if (point >= plan.temperature_epochs - 1) return plan.target_temperature;
  const double step = (plan.target_temperature - plan.target_temperature_start) /
                      static_cast<double>(plan.temperature_epochs - 1);
  return plan.target_temperature_start + step * static_cast<double>(point);
}

at::Tensor distillation(const at::Tensor& target, const at::Tensor& centre, double target_t,
                        const at::Tensor& student, double student_t) {
  const at::Tensor wanted = ((target.detach().to(torch::kFloat) - centre) / target_t).softmax(-1);
  const at::Tensor log_given = (student.to(torch::kFloat) / student_t).log_softmax(-1);
  return -(wanted * log_given).sum(-1).mean();
}

at::Tensor inter_loss(const LossPlan& plan, const at::Tensor& target_BD,
                      const at::Tensor& centre_1D, const at::Tensor& student_BD,
                      std::int64_t epoch) {
  const double t = target_temperature(plan, epoch);
  // Halves swapped: the query's target meets the key's student; the mean over 2B rows halves the
  // sum.
  const std::int64_t half = target_BD.size(0) / 2;
  return distillation(target_BD, centre_1D, t, student_BD.roll(half, 0), plan.student_temperature);
}

at::Tensor intra_loss(const LossPlan& plan, const at::Tensor& target_BTD,
                      const at::Tensor& centre_11D, const at::Tensor& student_BTD,
                      std::int64_t epoch) {
  const double t = target_temperature(plan, epoch, plan.intra_start_epoch);
  return distillation(target_BTD, centre_11D, t, student_BTD, plan.student_temperature);
}

at::Tensor reconstruction_loss(const LossPlan& plan, const at::Tensor& output_B1XYZ,
                               const at::Tensor& image_B1XYZ, const at::Tensor& visible_B1XYZ) {
  const at::Tensor output = output_B1XYZ.to(torch::kFloat), image = image_B1XYZ.to(torch::kFloat);
  if (plan.reconstruction_region == "all" || !visible_B1XYZ.defined()) {
    return plan.reconstruction_scale * at::mse_loss(output, image);
  }
  const at::Tensor masked = 1 - visible_B1XYZ;
  return plan.reconstruction_scale * ((output - image).square() * masked).sum() /
         masked.sum().clamp_min(1);
}

at::Tensor centre_sums(const at::Tensor& target, std::int64_t width) {
  if (!target.defined()) return torch::zeros({width + 1});
  const at::Tensor rows = target.detach().to(torch::kFloat).reshape({-1, width});
  return at::cat(
      {rows.sum(0), torch::full({1}, static_cast<double>(rows.size(0)), rows.options())});
}

void update_centre(at::Tensor centre, const at::Tensor& sums_and_count, double momentum) {
  const torch::NoGradGuard no_grad;
  const std::int64_t width = sums_and_count.numel() - 1;
  const double count = sums_and_count[width].item<double>();
  if (count <= 0) return;
  centre.mul_(momentum).add_(sums_and_count.narrow(0, 0, width).view_as(centre).to(centre.device()),
                             (1 - momentum) / count);
}

}  // namespace homolog::objective::alice
