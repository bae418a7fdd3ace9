#include "tests/bench/step/peer_objective.h"

#include <torch/nn/modules/activation.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>

#include "model/backbones/nnformer.h"
#include "model/backbones/swin_unetr.h"
#include "model/precision.h"

namespace homolog::bench {
namespace {

constexpr std::int64_t kHidden = 2048, kBottleneck = 256, kTokenWidth = 512, kHeads = 8;

std::shared_ptr<backbone::Backbone> backbone_of(const PeerPlan& plan) {
  if (plan.network == "nnformer") {
    model::nnformer::Plan nnformer;
    nnformer.embed = plan.feature;
    for (std::size_t s = 0; s < nnformer.heads.size(); ++s)
      nnformer.heads[s] = (plan.feature << s) / 8;
    nnformer.drop_path = 0;
    return std::make_shared<model::nnformer::NnFormer>(nnformer, plan.crop);
  }
  model::swin::Plan swin;
  swin.feature = plan.feature;
  if (*std::max_element(plan.crop.begin(), plan.crop.end()) < 64)
    swin.norm = "group";  // of one voxel nothing else is a norm
  return std::make_shared<model::swin::SwinUnetr>(swin, plan.crop);
}

torch::nn::Linear without_bias(std::int64_t in, std::int64_t out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
}

at::Tensor cross_entropy(const at::Tensor& target, const at::Tensor& logits) {
  return -(target * at::log_softmax(model::wide(logits) / 0.1, -1)).sum(-1).mean();
}

std::shared_ptr<torch::nn::Module> with_net(const std::shared_ptr<PeerNet>& net) {
  auto module = std::make_shared<torch::nn::Module>("peer");
  module->register_module("net", net);
  return module;
}

}  // namespace

PeerNet::PeerNet(const PeerPlan& plan) {
  const std::int64_t encoder = (plan.network == "nnformer" ? 8 : 16) * plan.feature,
                     decoder = encoder / 2;
  b = register_module("b", backbone_of(plan));
  pe = register_module("pe", torch::nn::Linear(encoder, encoder));
  pd = register_module("pd", torch::nn::Linear(decoder, encoder));
  mlp = register_module(
      "mlp", torch::nn::Sequential(torch::nn::Linear(encoder, kHidden), torch::nn::GELU(),
                                   torch::nn::Linear(kHidden, kHidden), torch::nn::GELU(),
                                   torch::nn::Linear(kHidden, kBottleneck)));
  last = register_module("last", without_bias(kBottleneck, plan.outputs));
  last2 = register_module("last2", without_bias(kBottleneck, plan.outputs));
}

// Of Swin UNETR the peer takes other layers than homolog.
backbone::Features PeerNet::look(const backbone::View& view, bool reconstructs) {
  at::Tensor encoder_BLC, decoder_BLC;
  b->set_tap([&](const std::string& name, const at::Tensor& map_BCXYZ) {
    if (name == "encoder10") encoder_BLC = map_BCXYZ.flatten(2).transpose(1, 2);
    if (name == "decoder5") decoder_BLC = map_BCXYZ.flatten(2).transpose(1, 2);
  });
  backbone::Features features = b->run(view, {.decoder = true, .reconstruction = reconstructs});
  b->set_tap({});
  if (encoder_BLC.defined()) {
    features.encoder_BLC = encoder_BLC;
    features.decoder_BLC = decoder_BLC;
  }
  return features;
}

PeerOutputs PeerNet::run(const backbone::View& view, bool reconstructs) {
  const backbone::Features features = look(view, reconstructs);
  const at::Tensor &encoder_BLC = features.encoder_BLC, &decoder_BLC = features.decoder_BLC;
  const at::Tensor tokens_BTC = model::wide(mlp->forward(
      at::cat({encoder_BLC.mean(1, /*keepdim=*/true), pe(encoder_BLC), pd(decoder_BLC)}, 1)));
  const at::Tensor units_BTC =
      tokens_BTC / tokens_BTC.norm(2, -1, /*keepdim=*/true).clamp_min(1e-12);
  const std::int64_t n = encoder_BLC.size(1);
  const at::Tensor patches_BTD = last2(units_BTC.slice(1, 1));
  return {last(units_BTC.select(1, 0)), patches_BTD.slice(1, 0, n), patches_BTD.slice(1, n),
          features.reconstruction_B1XYZ};
}

PeerObjective::PeerObjective(const PeerPlan& plan)
    : student_net_(std::make_shared<PeerNet>(plan)),
      target_net_(std::make_shared<PeerNet>(plan)),
      centre_D_(torch::zeros({plan.outputs})) {
  student_ = with_net(student_net_);
  target_ = with_net(target_net_);
  att_ = student_->register_module("att", torch::nn::MultiheadAttention(kTokenWidth, kHeads));
  ffn_ = student_->register_module(
      "ffn", torch::nn::Sequential(torch::nn::Linear(kTokenWidth, kHidden), torch::nn::ReLU(),
                                   torch::nn::Linear(kHidden, kTokenWidth)));
  start_target();
}

void PeerObjective::move_to(torch::Device device) {
  student_->to(device);
  target_->to(device);
  centre_D_ = centre_D_.to(device);
}

void PeerObjective::start_target() {
  const torch::NoGradGuard no_grad;
  auto from = student_net_->named_parameters();
  for (auto& item : target_net_->named_parameters()) item.value().copy_(from[item.key()]);
}

objective::ParameterRule PeerObjective::rule(const std::string& name,
                                             const torch::Tensor& parameter) const {
  const std::string own = name.starts_with("net.b.") ? name.substr(6) : "";
  objective::ParameterRule rule{.decayed = parameter.dim() > 1};
  rule.trained = own.empty() || student_net_->b->is_used(own, {});
  return rule;
}

at::Tensor PeerObjective::align(const at::Tensor& queries_BTD, const at::Tensor& keys_BTD) {
  const at::Tensor keys_TBD = keys_BTD.transpose(0, 1);
  const at::Tensor out_BTD =
      std::get<0>(att_->forward(queries_BTD.transpose(0, 1), keys_TBD, keys_TBD)).transpose(0, 1);
  return out_BTD + ffn_->forward(out_BTD);
}

objective::Loss PeerObjective::evaluate(const objective::Views& views, const objective::StepInfo&) {
  const at::Tensor& image_B1XYZ = views.at("image_B1XYZ");
  const at::DeviceType device = image_B1XYZ.device().type();
  PeerOutputs target, student;
  {
    const torch::NoGradGuard no_grad;
    const model::Autocast networks(precision(), device);
    target = target_net_->run({.image_B1XYZ = image_B1XYZ}, /*reconstructs=*/false);
  }
  at::Tensor aligned_BTD, to_target_BTD;
  {
    const model::Autocast networks(precision(), device);
    student = student_net_->run(
        {.image_B1XYZ = image_B1XYZ, .visible_B1XYZ = 1 - views.at("masked_B1XYZ")}, true);
    aligned_BTD = align(student.encoder_BTD, student.decoder_BTD);
  }
  {
    const torch::NoGradGuard no_grad;
    const model::Autocast networks(precision(), device);
    to_target_BTD = model::wide(align(student.encoder_BTD, target.decoder_BTD));
  }
  const at::Tensor target_cls_BD = model::wide(target.cls_BD);
  const std::int64_t pairs = image_B1XYZ.size(0) / 2;
  const at::Tensor across_BD = at::softmax((target_cls_BD.roll(pairs, 0) - centre_D_) / 0.04, -1);
  objective::Loss loss;
  loss.total = cross_entropy(across_BD, student.cls_BD) +
               cross_entropy(at::softmax(to_target_BTD / 0.04, -1), aligned_BTD) +
               10 * at::mse_loss(model::wide(student.reconstruction_B1XYZ), image_B1XYZ);
  loss.statistics = target_cls_BD.mean(0);
  return loss;
}

void PeerObjective::absorb(const torch::Tensor& world_sums, int ranks) {
  centre_D_.mul_(0.9).add_(world_sums / ranks, 0.1);
}

}  // namespace homolog::bench
