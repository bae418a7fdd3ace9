// Alice (method.md 2.7, 3.5, 3.6, 4): a masked student against an intact EMA target. One forward
// pass of 2B rows, query rows then key rows; parts whose weight is 0 are neither run nor trained.
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/error.h"
#include "objective/alice_network.h"
#include "objective/alice_plan.h"
#include "objective/mode_guard.h"
#include "objective/objective_entry.h"

namespace homolog::objective::alice {
namespace {

using backbone::Size3;
using model::RowDraws;

struct Batch {                     // 2B rows: query rows, then key rows
  backbone::View student, target;  // the student's image is the plain crop
  std::vector<std::uint64_t> student_keys, target_keys;
};

struct TargetOutputs {
  at::Tensor cls_BD, tokens_BMD, aligned_BTD;
};

const at::Tensor& view(const Views& views, const std::string& name) {
  const auto found = views.tensors.find(name);
  if (found != views.tensors.end()) return found->second;
  throw Error(Fault::Usage, "objective alice: the stream gives no view \"" + name + "\"",
              "train on a store of pairs");
}

// Rows of the query, then of the key.
at::Tensor both(const Views& views, const std::string& query, const std::string& key) {
  return at::cat({view(views, query), view(views, key)});
}

class Alice final : public Objective {
 public:
  Alice(const Plan& plan, const backbone::Factory& factory, const Size3& crop);

  torch::nn::Module& online() override { return *online_; }
  torch::nn::Module* target() override { return target_.get(); }
  ParameterRule rule(const std::string& name, const torch::Tensor& parameter) const override;
  Loss evaluate(const Views& views, const StepInfo& info) override;
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
  std::shared_ptr<Network> build(const backbone::Factory& factory, bool as_target) const;
  void start_target();
  Batch prepare(const Views& views, const StepInfo& info) const;
  TargetOutputs run_target(const Batch& batch);
  at::Tensor align_target(const TargetOutputs& target, const at::Tensor& query_BTD,
                          const at::Tensor& projected_BTE, const Batch& batch,
                          const StepInfo& info);
  void distil(const Batch& batch, const StepInfo& info, const backbone::Features& features,
              Loss& loss);
  static void add_term(Loss& loss, const char* name, const at::Tensor& weighted);

  Plan plan_;
  Size3 crop_;
  std::shared_ptr<Network> online_, target_;
  backbone::Want student_wants_, target_wants_;
  at::Tensor centre_cls_1D_, centre_tokens_11D_;  // on the host: few numbers, read once a step
};

Alice::Alice(const Plan& plan, const backbone::Factory& factory, const Size3& crop)
    : plan_(plan), crop_(crop) {
  validate(plan_);
  student_wants_ = {.decoder = intra(), .reconstruction = reconstructs()};
  target_wants_ = {.decoder = intra() && plan_.target_tokens == "decoder", .reconstruction = false};
  online_ = build(factory, false);
  const backbone::FeatureSpec spec = online_->backbone->spec();
  plan_.mask.cell = spec.mask_cell;
  if (plan_.mask.shape == "auto") plan_.mask.shape = spec.drops_masked ? "cube" : "column";
  masked_cells(plan_.mask, crop_);  // refuses crops that cells do not tile
  for (auto& item : online_->named_parameters()) item.value().set_requires_grad(used(item.key()));
  if (inter() || intra()) {
    target_ = build(factory, true);
    start_target();
  }
  centre_cls_1D_ = torch::zeros({1, plan_.head.outputs});
  centre_tokens_11D_ = torch::zeros({1, 1, plan_.head.outputs});
}

std::shared_ptr<Network> Alice::build(const backbone::Factory& factory, bool as_target) const {
  auto backbone = factory.make(crop_);
  const backbone::FeatureSpec spec = backbone->spec();
  model::HeadPlan head = plan_.head;
  head.encoder_channels = spec.encoder_channels;
  head.decoder_channels = spec.decoder_channels;
  head.shared_last = as_target;
  model::CasaPlan casa = plan_.casa;
  casa.width = plan_.head.outputs;
  casa.queries = !as_target;
  casa.zeta = plan_.zeta;
  const bool has_casa = !as_target || plan_.casa_ema;
  return std::make_shared<Network>(std::move(backbone), model::ProjectionHead(head),
                                   has_casa ? model::Casa(casa) : model::Casa(nullptr));
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
  if (name.ends_with("weight_g")) return false;  // gains stay 1 (norm_last_layer)
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

Batch Alice::prepare(const Views& views, const StepInfo& info) const {
  Batch out;
  out.student.image_B1XYZ = both(views, "query_B1XYZ", "key_B1XYZ");
  // Validation draws the same masks every time.
  const std::int64_t step = info.training ? info.step : -1;
  const auto keys = [&](std::initializer_list<int> of) {
    std::vector<std::uint64_t> all;
    for (const int v : of)
      for (const std::uint64_t id : views.ids) all.push_back(model::row_key(id, step, v));
    return all;
  };
  const auto mask = [&](backbone::View& view, double ratio, const std::string& purpose) {
    model::MaskPlan plan = plan_.mask;
    plan.ratio = ratio;
    const at::Device device = view.image_B1XYZ.device();
    view.visible_B1XYZ =
        at::cat({visible_B1XYZ(plan, crop_, info.seed, purpose + "-query", keys({0}), device),
                 visible_B1XYZ(plan, crop_, info.seed, purpose + "-key", keys({1}), device)});
    view.visible_share = visible_share(plan, crop_);
  };
  out.student_keys = keys({0, 1});
  out.target_keys = keys({2, 3});
  if (views.tensors.count("query_visible_B1XYZ") != 0U) {
    // A stream may bring masks of its own, to replay a recorded step.
    out.student.visible_B1XYZ = both(views, "query_visible_B1XYZ", "key_visible_B1XYZ");
    out.student.visible_share = out.student.visible_B1XYZ[0].mean().item<double>();
  } else if (reconstructs() || plan_.mask_student_without_mim) {
    mask(out.student, plan_.mask.ratio, "mask");
  }
  if (target_) {
    out.target.image_B1XYZ = both(views, "target_query_B1XYZ", "target_key_B1XYZ");
    if (plan_.target_mask_ratio > 0) mask(out.target, plan_.target_mask_ratio, "mask-target");
  }
  return out;
}

TargetOutputs Alice::run_target(const Batch& batch) {
  const torch::NoGradGuard no_grad;
  const backbone::Features features = target_->backbone->run(batch.target, target_wants_);
  const model::Projections projected = target_->head(features, intra());
  return {.cls_BD = projected.cls_BD,
          .tokens_BMD =
              plan_.target_tokens == "decoder" ? projected.decoder_BLD : projected.encoder_BLD,
          .aligned_BTD = {}};
}

at::Tensor Alice::align_target(const TargetOutputs& target, const at::Tensor& query_BTD,
                               const at::Tensor& projected_BTE, const Batch& batch,
                               const StepInfo& info) {
  const torch::NoGradGuard no_grad;
  model::Casa& casa = plan_.casa_ema ? target_->casa : online_->casa;
  const RowDraws draws(info.seed, batch.target_keys);
  const bool drops = plan_.target_dropout && info.training;
  return casa->align(query_BTD, projected_BTE, target.tokens_BMD, drops ? &draws : nullptr);
}

void Alice::add_term(Loss& loss, const char* name, const at::Tensor& weighted) {
  loss.total = loss.total.defined() ? loss.total + weighted : weighted;
  loss.terms.push_back({name, weighted.detach()});
}

void Alice::distil(const Batch& batch, const StepInfo& info, const backbone::Features& features,
                   Loss& loss) {
  const LossPlan& p = plan_.loss;
  const at::Device device = batch.student.image_B1XYZ.device();
  TargetOutputs target = run_target(batch);
  const model::Projections student = online_->head(features, intra());
  if (inter()) {
    add_term(loss, "inter",
             p.lambda_inter * inter_loss(p, target.cls_BD, centre_cls_1D_.to(device),
                                         student.cls_BD, info.epoch));
  }
  if (intra()) {
    const RowDraws draws(info.seed, batch.student_keys);
    const at::Tensor projected_BTE = online_->casa->project_queries(student.encoder_BLD);
    const at::Tensor aligned_BTD = online_->casa->align(
        student.encoder_BLD, projected_BTE, student.decoder_BLD, info.training ? &draws : nullptr);
    target.aligned_BTD = align_target(target, student.encoder_BLD, projected_BTE, batch, info);
    add_term(loss, "intra",
             p.lambda_intra * intra_loss(p, target.aligned_BTD, centre_tokens_11D_.to(device),
                                         aligned_BTD, info.epoch));
  }
  const std::int64_t half = target.cls_BD.size(0) / 2;
  const at::Tensor agree = target.cls_BD.narrow(0, 0, half).argmax(-1) ==
                           student.cls_BD.narrow(0, half, half).argmax(-1);
  loss.terms.push_back({"acc", agree.to(torch::kFloat).mean()});
  if (info.training) {
    const std::int64_t width = plan_.head.outputs;
    loss.statistics = at::cat(
        {centre_sums(target.cls_BD, width), centre_sums(target.aligned_BTD, width).to(device)});
  }
}

Loss Alice::evaluate(const Views& views, const StepInfo& info) {
  const ModeGuard mode(*online_, info.training);
  const at::AutoGradMode gradients(info.training);
  const Batch batch = prepare(views, info);
  online_->backbone->set_draws(RowDraws(info.seed, batch.student_keys));
  const backbone::Features features = online_->backbone->run(batch.student, student_wants_);
  Loss loss;
  if (target_) distil(batch, info, features, loss);
  if (reconstructs()) {
    add_term(loss, "reconstruction",
             plan_.loss.lambda_reconstruction *
                 reconstruction_loss(plan_.loss, features.reconstruction_B1XYZ,
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
    "alice",
    "masked student against an intact EMA target: inter-volume, intra-volume, reconstruction",
    []() -> std::unique_ptr<Factory> { return std::make_unique<AliceFactory>(); }};

}  // namespace homolog::objective::alice
