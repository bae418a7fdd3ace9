// Projection head (method.md 3.5): one shared trunk for class vector, encoder and decoder tokens,
// unit vectors, weight-normalised last layers with gain 1. Names are those of the reference's state
// dict.
#pragma once

#include <torch/nn/modules/linear.h>

#include <cstdint>

#include "model/backbone.h"

namespace homolog::model {

struct HeadPlan {
  std::int64_t encoder_channels = 384, decoder_channels = 192;
  std::int64_t hidden = 2048, bottleneck = 256, outputs = 512;
  bool shared_last = false;  // target network: tokens use `last_layer` too
};

// Cosines in [-1, 1] while gains are 1. L tokens.
struct Projections {
  at::Tensor cls_BD;       // (B, outputs)
  at::Tensor encoder_BLD;  // (B, L of the encoder tokens, outputs)
  at::Tensor decoder_BLD;  // (B, L of decoder level 1, outputs); undefined without decoder tokens
};

class ProjectionHeadImpl : public torch::nn::Module {
 public:
  explicit ProjectionHeadImpl(const HeadPlan& plan);
  // With tokens = false only the class vector is projected.
  Projections forward(const backbone::Features& features, bool tokens);

 private:
  at::Tensor trunk(const at::Tensor& x);
  at::Tensor last(const at::Tensor& unit, bool tokens);

  bool shared_last_;
  torch::nn::Linear layer0_{nullptr}, layer2_{nullptr}, layer4_{nullptr}, mlp3_{nullptr},
      mlp4_{nullptr};
  at::Tensor last_gain_, last_direction_, last2_gain_, last2_direction_;
};
TORCH_MODULE(ProjectionHead);

}  // namespace homolog::model
