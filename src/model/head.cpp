// See head.h. Fixed gains are parameters, because the public weights hold them, but never get a
// gradient.
#include "model/head.h"

#include <torch/nn/functional.h>
#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "model/precision.h"

namespace homolog::model {
namespace {

constexpr double kInitSigma = 0.02;

// Direction of a weight-normalised layer: the framework's default for Linear.
at::Tensor direction(std::int64_t outputs, std::int64_t inputs) {
  at::Tensor v = torch::empty({outputs, inputs});
  torch::nn::init::kaiming_uniform_(v, std::sqrt(5.0));
  return v;
}

torch::nn::Linear layer(std::int64_t from, std::int64_t to) {
  torch::nn::Linear out(from, to);
  const torch::NoGradGuard no_grad;
  out->weight.normal_(0, kInitSigma);
  out->bias.zero_();
  return out;
}

}  // namespace

ProjectionHeadImpl::ProjectionHeadImpl(const HeadPlan& p)
    : relu_(p.activation == "relu"), has_last_(p.bottleneck > 0) {
  using torch::nn::Linear;
  build_trunk(p);
  if (has_last_) {
    last_ = build_last("last_layer", p);
    last2_ = p.shared_last || !p.tokens ? last_ : build_last("last_layer2", p);
  }
  if (!p.tokens) return;
  mlp3_ = register_module("mlp3", Linear(p.encoder_channels, p.encoder_channels));
  mlp4_ = register_module("mlp4", Linear(p.decoder_channels, p.encoder_channels));
}

// Numbered as the reference's list of layer, norm, activation; a single layer has no number.
void ProjectionHeadImpl::build_trunk(const HeadPlan& p) {
  const std::int64_t end = has_last_ ? p.bottleneck : p.outputs;
  if (p.layers == 1) {
    layers_.push_back(register_module("mlp", layer(p.encoder_channels, end)));
    return;
  }
  auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>("mlp"));
  const bool normed = p.norm != "none";
  for (std::int64_t i = 0; i < p.layers; ++i) {
    layers_.push_back(mlp->register_module(
        std::to_string(i * (normed ? 3 : 2)),
        layer(i == 0 ? p.encoder_channels : p.hidden, i + 1 == p.layers ? end : p.hidden)));
    if (i > 0 || !normed) continue;
    if (p.norm == "batch") {
      batch_norm_ = mlp->register_module("1", torch::nn::BatchNorm1d(p.hidden));
    } else {
      layer_norm_ =
          mlp->register_module("1", torch::nn::LayerNorm(torch::nn::LayerNormOptions({p.hidden})));
    }
  }
}

ProjectionHeadImpl::LastLayer ProjectionHeadImpl::build_last(const std::string& name,
                                                             const HeadPlan& p) {
  auto last = register_module(name, std::make_shared<torch::nn::Module>(name));
  return {.gain = last->register_parameter("weight_g", torch::ones({p.outputs, 1}),
                                           /*requires_grad=*/!p.fixed_gain),
          .direction = last->register_parameter("weight_v", direction(p.outputs, p.bottleneck))};
}

at::Tensor ProjectionHeadImpl::trunk(at::Tensor x) {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    x = layers_[i](x);
    if (i + 1 == layers_.size()) break;
    if (batch_norm_) x = batch_norm_(x.reshape({-1, x.size(-1)})).view_as(x);  // rows are tokens
    if (layer_norm_) x = layer_norm_(x);
    x = relu_ ? at::relu(x) : at::gelu(x);
  }
  return x;
}

at::Tensor ProjectionHeadImpl::project(const at::Tensor& x, bool tokens) {
  const at::Tensor y = wide(trunk(x));
  if (!has_last_) return y;
  const at::Tensor unit = torch::nn::functional::normalize(
      y, torch::nn::functional::NormalizeFuncOptions().p(2).dim(-1).eps(1e-12));
  const LastLayer& last = tokens ? last2_ : last_;
  const WithoutAutocast float32;  // logits lie within 1 and meet temperatures of 0.008
  return at::linear(unit, at::_weight_norm(last.direction, last.gain, 0));
}

Projections ProjectionHeadImpl::forward(const backbone::Features& features, bool tokens) {
  Projections out;
  if (features.cls_BC.defined()) out.cls_BD = project(features.cls_BC, false);
  if (!tokens) return out;
  out.encoder_BLD = project(mlp3_(features.encoder_BLC), true);
  if (features.decoder_BLC.defined()) {
    out.decoder_BLD = project(mlp4_(features.decoder_BLC), true);
  }
  return out;
}

}  // namespace homolog::model
