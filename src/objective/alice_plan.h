// Options of the Alice objective ("objective.alice.*"): the paper's method by default, the
// reference code's behaviours (method.md section 8) behind switches.
#pragma once

#include "base/options.h"
#include "model/casa.h"
#include "model/head.h"
#include "model/masking.h"
#include "objective/alice_loss.h"

namespace homolog::objective::alice {

struct Plan {
  LossPlan loss;
  model::MaskPlan mask{.shape = "auto"};  // D8
  model::HeadPlan head;                   // channels come from the backbone
  model::CasaPlan casa;                   // width and zeta follow from head.outputs and `zeta`
  bool mask_student_without_mim = true;   // mask although lambda_reconstruction is 0
  double target_mask_ratio = 0;           // Table 10
  std::string target_tokens = "encoder";  // D11: or "decoder"
  bool casa_ema = true;                   // D12: target side has EMA copies
  bool zeta = true;                       // D13
  bool target_dropout = false;            // CASA's dropout on the target side
  std::int64_t drop_path_epochs = 0;      // D19: stochastic depth acts that long; 0: always
  bool target_drop_path = false;          // D27: in the target too, while the student's acts
  std::string target_last =
      "last";  // layer that the target's shared last layer starts from, or "last2"
  bool freeze_last_layer = true;  // in epoch 0
  bool clip_casa = false;         // D28
};

void declare(Options& options, Plan& plan);
// Throws Fault::Usage: nothing to train.
void validate(const Plan& plan);
// Throws Fault::Usage: cells do not tile the crop; a network that leaves masked tokens out would
// see none.
void check_masks(const Plan& plan, const backbone::FeatureSpec& network,
                 const backbone::Size3& crop);

}  // namespace homolog::objective::alice
