// See head.h. Gains are parameters, because the public weights hold them, but never get a gradient.
#include "model/head.h"

#include <torch/nn/functional.h>
#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

namespace homolog::model {
namespace {

constexpr double kInitSigma = 0.02;

// Direction of a weight-normalised layer: the framework's default for Linear.
at::Tensor direction(std::int64_t outputs, std::int64_t inputs) {
  at::Tensor v = torch::empty({outputs, inputs});
  torch::nn::init::kaiming_uniform_(v, std::sqrt(5.0));
  return v;
}

}  // namespace

ProjectionHeadImpl::ProjectionHeadImpl(const HeadPlan& p) : shared_last_(p.shared_last) {
  using torch::nn::Linear;
  auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>("mlp"));
  layer0_ = mlp->register_module("0", Linear(p.encoder_channels, p.hidden));
  layer2_ = mlp->register_module("2", Linear(p.hidden, p.hidden));
  layer4_ = mlp->register_module("4", Linear(p.hidden, p.bottleneck));
  const torch::NoGradGuard no_grad;
  for (auto* layer : {&layer0_, &layer2_, &layer4_}) {
    (*layer)->weight.normal_(0, kInitSigma);
    (*layer)->bias.zero_();
  }
  const auto register_last = [&](const std::string& name, at::Tensor& gain, at::Tensor& v) {
    auto layer = register_module(name, std::make_shared<torch::nn::Module>(name));
    gain =
        layer->register_parameter("weight_g", torch::ones({p.outputs, 1}), /*requires_grad=*/false);
    v = layer->register_parameter("weight_v", direction(p.outputs, p.bottleneck));
  };
  register_last("last_layer", last_gain_, last_direction_);
  if (!shared_last_) register_last("last_layer2", last2_gain_, last2_direction_);
  mlp3_ = register_module("mlp3", Linear(p.encoder_channels, p.encoder_channels));
  mlp4_ = register_module("mlp4", Linear(p.decoder_channels, p.encoder_channels));
}

at::Tensor ProjectionHeadImpl::trunk(const at::Tensor& x) {
  const at::Tensor y = layer4_(at::gelu(layer2_(at::gelu(layer0_(x)))));
  return torch::nn::functional::normalize(
      y, torch::nn::functional::NormalizeFuncOptions().p(2).dim(-1).eps(1e-12));
}

at::Tensor ProjectionHeadImpl::last(const at::Tensor& unit, bool tokens) {
  const bool second = tokens && !shared_last_;
  return at::linear(unit, at::_weight_norm(second ? last2_direction_ : last_direction_,
                                           second ? last2_gain_ : last_gain_, 0));
}

Projections ProjectionHeadImpl::forward(const backbone::Features& features, bool tokens) {
  Projections out;
  out.cls_BD = last(trunk(features.cls_BC), false);
  if (!tokens) return out;
  out.encoder_BLD = last(trunk(mlp3_(features.encoder_BLC)), true);
  if (features.decoder_BLC.defined()) {
    out.decoder_BLD = last(trunk(mlp4_(features.decoder_BLC)), true);
  }
  return out;
}

}  // namespace homolog::model
