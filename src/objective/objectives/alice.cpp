// Alice (method.md 2.7, 3.5, 3.6, 4): a masked student against an intact EMA target. One forward
// pass of 2B rows, query rows then key rows; parts whose weight is 0 are neither run nor trained.
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "model/side_stream.h"
#include "model/to_device.h"
#include "objective/alice_network.h"
#include "objective/alice_plan.h"
#include "objective/alice_views.h"
#include "objective/mode_guard.h"
#include "objective/objective_entry.h"

namespace homolog::objective::alice {
namespace {

using backbone::Size3;

constexpr const char *kCentreCls = "centre_cls_1D", *kCentreTokens = "centre_tokens_11D";

struct StudentOutputs {  // projected_BTE: queries of CASA, which both sides share
  at::Tensor cls_BD, query_BTD, projected_BTE, aligned_BTD, reconstruction_B1XYZ;
};

struct TargetOutputs {
  at::Tensor cls_BD, tokens_BMD, aligned_BTD;
};

class Alice final : public Objective {
 public:
  Alice(const Plan& plan, const backbone::Factory& factory, const Size3& crop);

  torch::nn::Module& online() override { return *online_; }
  torch::nn::Module* target() override { return target_.get(); }
  ParameterRule rule(const std::string& name, const torch::Tensor& parameter) const override;
  Loss evaluate(const Views& views, const StepInfo& info) override;
  Views prepare(const Views& views, const StepInfo& info) override;
  bool has_fixed_work() const override { return true; }
  void absorb(const torch::Tensor& world_sums, int ranks) override;
  std::map<std::string, torch::Tensor> state() override {
    return {{"centre_cls", centre_cls_1D_}, {"centre_tokens", centre_tokens_11D_}};
  }
  std::map<std::string, double> gauges(std::int64_t epoch) const override {
    const std::int64_t tokens_from = plan_.loss.intra_start_epoch;
    return {{"teacher_temperature", target_temperature(plan_.loss, epoch)},
            {"teacher_temperature_tokens", target_temperature(plan_.loss, epoch, tokens_from)}};
  }
  std::string exported_prefix() const override { return "backbone."; }
  bool is_exported(const std::string& name) const override {
    return name.starts_with("backbone.") && online_->backbone->is_encoder_parameter(name.substr(9));
  }
  backbone::MonaiForm monai() const override { return online_->backbone->monai(); }
  void set_activations(model::Activations which) override {  // the target has no backward
    online_->backbone->set_activations(which);
  }
  void start_from(const std::function<void(backbone::Backbone&)>& fill) override {
    fill(*online_->backbone);
    if (!target_) return;
    fill(*target_->backbone);  // buffers too
    start_target();
  }

 private:
  bool inter() const { return plan_.loss.lambda_inter > 0; }
  bool intra() const { return plan_.loss.lambda_intra > 0; }
  bool reconstructs() const { return plan_.loss.lambda_reconstruction > 0; }
  bool used(const std::string& name) const;
  void start_target();
  Views ready(const Views& views, const StepInfo& info) const;
  void set_stochastic_depth(const Batch& batch, const StepInfo& info);
  model::Autocast autocast(const Batch& batch) const {
    return {precision(), batch.student.image_B1XYZ.device().type()};
  }
  TargetOutputs run_target(const Batch& batch);
  StudentOutputs run_student(const Batch& batch, const StepInfo& info);
  at::Tensor align_target(const TargetOutputs& target, const StudentOutputs& student,
                          const Batch& batch, const StepInfo& info);
  void distil(const Batch& batch, const Views& views, const StepInfo& info, TargetOutputs target,
              const StudentOutputs& student, Loss& loss);
  static void add_term(Loss& loss, const char* name, const at::Tensor& weighted);

  Plan plan_;
  Size3 crop_;
  std::shared_ptr<Network> online_, target_;
  backbone::Want student_wants_, target_wants_;
  at::Tensor centre_cls_1D_, centre_tokens_11D_;  // on the host: few numbers, read once a step
  model::SideStream beside_;                      // of the target network
  Batch kept_;                                    // whose draws prepare() renews
};

Alice::Alice(const Plan& plan, const backbone::Factory& factory, const Size3& crop)
    : plan_(plan), crop_(crop) {
  validate(plan_);
  student_wants_ = {.decoder = intra(), .reconstruction = reconstructs()};
  target_wants_ = {.decoder = intra() && plan_.target_tokens == "decoder", .reconstruction = false};
  online_ = build_network(plan_, factory, crop_, false);
  const backbone::FeatureSpec spec = online_->backbone->spec();
  plan_.mask.cell = spec.mask_cell;
  if (plan_.mask.shape == "auto") plan_.mask.shape = spec.drops_masked ? "cube" : "column";
  check_masks(plan_, spec, crop_);
  for (auto& item : online_->named_parameters()) item.value().set_requires_grad(used(item.key()));
  if (inter() || intra()) {
    target_ = build_network(plan_, factory, crop_, true);
    start_target();
  }
  centre_cls_1D_ = torch::zeros({1, plan_.head.outputs});
  centre_tokens_11D_ = torch::zeros({1, 1, plan_.head.outputs});
}

void Alice::start_target() {
  const torch::NoGradGuard no_grad;
  const auto online = online_->named_parameters();
  for (auto& item : target_->named_parameters()) {
    std::string source = item.key();
    if (plan_.target_last == "last2" && source.starts_with("head.last_layer.")) {
      source.replace(0, 15, "head.last_layer2");
    }
    item.value().copy_(online[source]);
    item.value().set_requires_grad(false);
  }
  target_->eval();
}

bool Alice::used(const std::string& name) const {
  if (name.starts_with("backbone."))
    return online_->backbone->is_used(name.substr(9), student_wants_);
  if (plan_.head.fixed_gain && name.ends_with("weight_g")) return false;  // they stay 1
  if (name.starts_with("head.last_layer.")) return inter();
  if (name.starts_with("head.mlp.")) return inter() || intra();
  return intra();  // mlp3, mlp4, last_layer2, CASA
}

ParameterRule Alice::rule(const std::string& name, const torch::Tensor& parameter) const {
  ParameterRule out = Objective::rule(name, parameter);
  out.trained = used(name);
  out.clipped = plan_.clip_casa || !name.starts_with("casa.");
  out.frozen_first_epoch = plan_.freeze_last_layer && name.find("last_layer") != std::string::npos;
  return out;
}

TargetOutputs Alice::run_target(const Batch& batch) {
  const torch::NoGradGuard no_grad;
  const model::Autocast networks = autocast(batch);
  backbone::Features features = target_->backbone->run(batch.target, target_wants_);
  if (!inter()) features.cls_BC.reset();
  const model::Projections projected = target_->head(features, intra());
  return {.cls_BD = projected.cls_BD,
          .tokens_BMD =
              plan_.target_tokens == "decoder" ? projected.decoder_BLD : projected.encoder_BLD,
          .aligned_BTD = {}};
}

at::Tensor Alice::align_target(const TargetOutputs& target, const StudentOutputs& student,
                               const Batch& batch, const StepInfo& info) {
  const torch::NoGradGuard no_grad;
  const model::Autocast networks = autocast(batch);
  model::Casa& casa = plan_.casa_ema ? target_->casa : online_->casa;
  const bool drops = plan_.target_dropout && info.training;
  return casa->align(student.query_BTD, student.projected_BTE, target.tokens_BMD,
                     drops ? &batch.target_draws : nullptr);
}

void Alice::add_term(Loss& loss, const char* name, const at::Tensor& weighted) {
  loss.total = loss.total.defined() ? loss.total + weighted : weighted;
  loss.terms.push_back({name, weighted.detach()});
}

StudentOutputs Alice::run_student(const Batch& batch, const StepInfo& info) {
  const model::Autocast networks = autocast(batch);
  StudentOutputs out;
  backbone::Features features = online_->backbone->run(batch.student, student_wants_);
  out.reconstruction_B1XYZ = features.reconstruction_B1XYZ;
  if (!target_) return out;
  if (!inter()) features.cls_BC.reset();
  const model::Projections projected = online_->head(features, intra());
  out.cls_BD = projected.cls_BD;
  if (!intra()) return out;
  out.query_BTD = projected.encoder_BLD;
  out.projected_BTE = online_->casa->project_queries(out.query_BTD);
  out.aligned_BTD = online_->casa->align(out.query_BTD, out.projected_BTE, projected.decoder_BLD,
                                         info.training ? &batch.student_draws : nullptr);
  return out;
}

void Alice::distil(const Batch& batch, const Views& views, const StepInfo& info,
                   TargetOutputs target, const StudentOutputs& student, Loss& loss) {
  const LossPlan& p = plan_.loss;
  if (inter()) {
    add_term(loss, "inter",
             p.lambda_inter *
                 inter_loss(p, target.cls_BD, views.at(kCentreCls), student.cls_BD, info.epoch));
  }
  if (intra()) {
    target.aligned_BTD = align_target(target, student, batch, info);
    add_term(loss, "intra",
             p.lambda_intra * intra_loss(p, target.aligned_BTD, views.at(kCentreTokens),
                                         student.aligned_BTD, info.epoch));
  }
  if (inter()) {  // share of pairs whose class the student names as the target does
    const std::int64_t half = target.cls_BD.size(0) / 2;
    const at::Tensor agree = target.cls_BD.narrow(0, 0, half).argmax(-1) ==
                             student.cls_BD.narrow(0, half, half).argmax(-1);
    loss.terms.push_back({"acc", agree.to(torch::kFloat).mean()});
  }
  if (info.training) {
    const at::Device device = batch.student.image_B1XYZ.device();
    const auto sums = [&](const at::Tensor& outputs) {
      const std::int64_t width = plan_.head.outputs;
      return outputs.defined() ? centre_sums(outputs, width) : torch::zeros({width + 1}, device);
    };
    loss.statistics = at::cat({sums(target.cls_BD), sums(target.aligned_BTD)});
  }
}

void Alice::set_stochastic_depth(const Batch& batch, const StepInfo& info) {
  using DropPath = backbone::Backbone::DropPath;
  const bool acts =
      info.training && (plan_.drop_path_epochs == 0 || info.epoch < plan_.drop_path_epochs);
  online_->backbone->set_drop_path(acts ? DropPath::InTraining : DropPath::Never);
  online_->backbone->set_draws(batch.student_draws);
  if (!target_) return;
  // Its mode stays evaluation: only its branches are dropped.
  target_->backbone->set_drop_path(acts && plan_.target_drop_path ? DropPath::Always
                                                                  : DropPath::Never);
  target_->backbone->set_draws(batch.target_draws);
}

Views Alice::ready(const Views& views, const StepInfo& info) const {
  Views out = joined(plan_, crop_, views, info, target_ != nullptr);
  if (!target_) return out;
  const at::Device device = views.at("query_B1XYZ").device();
  out.tensors[kCentreCls] = model::to_device(centre_cls_1D_, device);
  out.tensors[kCentreTokens] = model::to_device(centre_tokens_11D_, device);
  return out;
}

Views Alice::prepare(const Views& views, const StepInfo& info) {
  redraw(kept_, views, info);
  return ready(views, info);
}

Loss Alice::evaluate(const Views& views, const StepInfo& info) {
  const ModeGuard mode(*online_, info.training);
  const at::AutoGradMode gradients(info.training);
  const bool prepared = is_joined(views);
  const Views all = prepared ? views : ready(views, info);
  Batch batch = batch_of(all, info);
  if (prepared) {
    batch.student_draws = kept_.student_draws;
    batch.target_draws = kept_.target_draws;
  }
  set_stochastic_depth(batch, info);
  TargetOutputs target;
  const at::Device device = batch.student.image_B1XYZ.device();
  if (target_) beside_.run(device, [&] { target = run_target(batch); });
  const StudentOutputs student = run_student(batch, info);
  if (target_) beside_.join(device);
  Loss loss;
  if (target_) distil(batch, all, info, std::move(target), student, loss);
  if (reconstructs()) {
    add_term(loss, "reconstruction",
             plan_.loss.lambda_reconstruction *
                 reconstruction_loss(plan_.loss, student.reconstruction_B1XYZ,
                                     batch.student.image_B1XYZ, batch.student.visible_B1XYZ));
  }
  return loss;
}

void Alice::absorb(const torch::Tensor& world_sums, int /*ranks*/) {
  const std::int64_t width = plan_.head.outputs + 1;
  if (world_sums.numel() != 2 * width) return;  // no target network, no centres
  update_centre(centre_cls_1D_, world_sums.narrow(0, 0, width), plan_.loss.centre_momentum);
  update_centre(centre_tokens_11D_, world_sums.narrow(0, width, width), plan_.loss.centre_momentum);
}

class AliceFactory final : public Factory {
 public:
  void declare(Options& options) override { alice::declare(options, plan_); }
  std::unique_ptr<Objective> make(const backbone::Factory& backbone,
                                  const Size3& crop) const override {
    return std::make_unique<Alice>(plan_, backbone, crop);
  }

 private:
  Plan plan_;
};

}  // namespace

extern const Entry entry;
const Entry entry{
    .name = "alice",
    .summary =
        "masked student against an intact EMA target: inter-volume, intra-volume, reconstruction",
    .factory = []() -> std::unique_ptr<Factory> { return std::make_unique<AliceFactory>(); },
    .recipe_batch = 8};

}  // namespace homolog::objective::alice
