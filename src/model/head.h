// Projection head (method.md 3.5): one shared trunk for class vector, encoder and decoder tokens,
// unit vectors, weight-normalised last layers. Names are those of the reference's state dict. The
// variants of the family (DINO, iBOT) that its code offers are options.
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/backbone.h"

namespace homolog::model {

struct HeadPlan {
  std::int64_t encoder_channels = 384, decoder_channels = 192;
  std::int64_t hidden = 2048, outputs = 512;
  std::int64_t bottleneck = 256;  // 0: the trunk gives the outputs, no unit vectors, no last layer
  std::int64_t layers = 3;        // linear layers of the trunk
  std::string norm = "none";      // after each hidden layer, one module for all: "batch", "layer"
  std::string activation = "gelu";  // or "relu"
  bool fixed_gain = true;           // gains of the last layers are never trained
  bool tokens = true;               // has token projections; false: class vectors alone
  bool shared_last = false;         // target network: tokens use `last_layer` too
};

// Cosines in [-1, 1] while gains are 1 and there is a bottleneck. L tokens.
struct Projections {
  at::Tensor cls_BD;       // (B, outputs); undefined without a class vector
  at::Tensor encoder_BLD;  // (B, L of the encoder tokens, outputs)
  at::Tensor decoder_BLD;  // (B, L of decoder level 1, outputs); undefined without decoder tokens
};

class ProjectionHeadImpl : public torch::nn::Module {
 public:
  explicit ProjectionHeadImpl(const HeadPlan& plan);
  // With tokens = false only the class vector is projected. REQUIRES: plan.tokens for tokens.
  Projections forward(const backbone::Features& features, bool tokens);

 private:
  struct LastLayer {
    at::Tensor gain, direction;
  };
  void build_trunk(const HeadPlan& plan);
  LastLayer build_last(const std::string& name, const HeadPlan& plan);
  at::Tensor trunk(at::Tensor x);
  at::Tensor project(const at::Tensor& x, bool tokens);

  bool relu_, has_last_;
  std::vector<torch::nn::Linear> layers_;
  torch::nn::BatchNorm1d batch_norm_{nullptr};
  torch::nn::LayerNorm layer_norm_{nullptr};
  torch::nn::Linear mlp3_{nullptr}, mlp4_{nullptr};
  LastLayer last_, last2_;  // last2_ is last_ where they are shared
};
TORCH_MODULE(ProjectionHead);

}  // namespace homolog::model
