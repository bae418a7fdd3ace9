// The network and losses of the step's peer (peer_step.py) as an objective, with the backbone as
// homolog has it. Names are the peer's, so that its weights load.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>

#include <memory>
#include <string>

#include "model/backbone.h"
#include "objective/objective.h"

namespace homolog::bench {

struct PeerPlan {
  std::string network = "swin_unetr";  // or "nnformer"
  std::int64_t feature = 24, outputs = 512;
  backbone::Size3 crop{32, 32, 32};
};

// What a pass gives; the tokens behind the head's second layer.
struct PeerOutputs {
  at::Tensor cls_BD, encoder_BTD, decoder_BTD, reconstruction_B1XYZ;
};

struct PeerNet : torch::nn::Module {
  explicit PeerNet(const PeerPlan& plan);
  PeerOutputs run(const backbone::View& view, bool reconstructs);

  std::shared_ptr<backbone::Backbone> b;
  torch::nn::Linear pe{nullptr}, pd{nullptr}, last{nullptr}, last2{nullptr};
  torch::nn::Sequential mlp{nullptr};

 private:
  backbone::Features look(const backbone::View& view, bool reconstructs);
};

// Views: "image_B1XYZ" (rows of both views, the second half are the keys), "masked_B1XYZ" (1:
// masked).
class PeerObjective final : public objective::Objective {
 public:
  explicit PeerObjective(const PeerPlan& plan);
  void move_to(torch::Device device);  // the centre, too
  void start_target();                 // from the student's weights
  torch::nn::Module& online() override { return *student_; }
  torch::nn::Module* target() override { return target_.get(); }
  objective::ParameterRule rule(const std::string& name,
                                const torch::Tensor& parameter) const override;
  objective::Loss evaluate(const objective::Views& views, const objective::StepInfo& info) override;
  bool has_fixed_work() const override { return true; }
  void absorb(const torch::Tensor& world_sums, int ranks) override;
  void set_activations(model::Activations which) override {
    student_net_->b->set_activations(which);
  }
  std::string exported_prefix() const override { return "net.b."; }
  bool is_exported(const std::string& name) const override { return name.starts_with("net.b."); }

 private:
  at::Tensor align(const at::Tensor& queries_BTD, const at::Tensor& keys_BTD);
  std::shared_ptr<torch::nn::Module> student_, target_;
  std::shared_ptr<PeerNet> student_net_, target_net_;
  torch::nn::MultiheadAttention att_{nullptr};
  torch::nn::Sequential ffn_{nullptr};
  at::Tensor centre_D_;
};

}  // namespace homolog::bench
