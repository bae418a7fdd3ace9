// Training SAM: everything that `homolog sam train` takes from a configuration.
#include <ATen/ops/arange.h>
#include <ATen/ops/meshgrid.h>
#include <ATen/ops/stack.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <numeric>

#include "apps/plan/subject.h"
#include "data/volume_stream.h"
#include "objective/objective_entry.h"

namespace homolog {
namespace {

class Sam final : public Subject {
 public:
  explicit Sam(const std::int64_t& train_samples) : train_samples_(train_samples) {}

  void declare(Options& options, train::TrainingPlan& plan) override {
    plan.schedule.validate_every = 0;
    factory_->declare(options);
    data::declare(options, stream_);
    train::declare_recipe(options, plan);
  }
  void check() override {
    data::validate(stream_.view);
    [[maybe_unused]] const auto cell = factory_->cell();
  }
  census::StepSetup setup(const train::TrainingPlan& plan) override {
    return {.objective =
                [this] {
                  return factory_->make(*backbone::catalog().front()->factory(), {1, 1, 1});
                },
            .views = [this](std::int64_t batch,
                            const torch::Device& device) { return views(batch, device); },
            .plan = plan};
  }
  SubjectData data() const override {  // prepared volumes are held in memory
    return {train_samples_ * stream_.patches_per_volume, 0, false};
  }
  std::int64_t recipe_batch() const override { return objective::find("sam").recipe_batch; }
  bool can_be_probed() const override { return false; }

 private:
  // What PatchSource gives, where both views show the same place.
  objective::Views views(std::int64_t batch, const torch::Device& device) const {
    const auto& side = stream_.view.patch_xyz;
    const auto mm = [&](std::int64_t n) {
      return torch::arange(n, torch::TensorOptions().device(device)) * stream_.view.spacing_mm;
    };
    const auto zyx = at::meshgrid({mm(side[2]), mm(side[1]), mm(side[0])}, "ij");
    const at::Tensor grid_B3ZYX = at::stack({zyx[2], zyx[1], zyx[0]})
                                      .unsqueeze(0)
                                      .expand({batch, 3, side[2], side[1], side[0]})
                                      .contiguous();
    objective::Views out;
    for (const std::string view : {"first", "second"}) {
      out.tensors[view + "_grid_B3ZYX"] = grid_B3ZYX;
      for (const char* what : {"_B1ZYX", "_valid_B1ZYX"})
        out.tensors[view + what] = torch::ones({batch, 1, side[2], side[1], side[0]},
                                               torch::TensorOptions().device(device));
    }
    out.ids.resize(static_cast<std::size_t>(batch));
    std::iota(out.ids.begin(), out.ids.end(), 0);
    return out;
  }

  const std::int64_t& train_samples_;
  std::unique_ptr<objective::Factory> factory_ = objective::find("sam").factory();
  data::VolumeStreamPlan stream_;
};

}  // namespace

std::unique_ptr<Subject> sam_subject(const std::int64_t& train_samples) {
  return std::make_unique<Sam>(train_samples);
}

}  // namespace homolog
