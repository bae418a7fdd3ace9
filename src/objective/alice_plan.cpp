// Names, defaults and ranges of "objective.alice.*".
#include "objective/alice_plan.h"

#include <utility>

#include "base/error.h"

namespace homolog::objective::alice {
namespace {

void declare_loss(Options& o, LossPlan& p) {
  o.add("objective.alice.lambda_inter", p.lambda_inter, "weight of the inter-volume (class) loss",
        {.min = 0});
  o.add("objective.alice.lambda_intra", p.lambda_intra, "weight of the intra-volume (token) loss",
        {.min = 0});
  o.add("objective.alice.lambda_reconstruction", p.lambda_reconstruction,
        "weight of the reconstruction loss", {.min = 0});
  o.add("objective.alice.reconstruction_scale", p.reconstruction_scale,
        "factor on the mean squared error (the reference halves it)", {.min = 0});
  o.add("objective.alice.reconstruction_region", p.reconstruction_region, "voxels that count",
        {.choices = {"all", "masked"}});
  o.add("objective.alice.student_temperature", p.student_temperature, "temperature of the student",
        {.min = 1e-4});
  o.add("objective.alice.target_temperature_start", p.target_temperature_start,
        "target temperature in epoch 0", {.min = 1e-4});
  o.add("objective.alice.target_temperature", p.target_temperature,
        "target temperature after its warm-up", {.min = 1e-4});
  o.add("objective.alice.temperature_epochs", p.temperature_epochs,
        "length of the linear warm-up, end included", {.min = 0, .unit = "epochs"});
  o.add("objective.alice.intra_start_epoch", p.intra_start_epoch,
        "epoch in which the token temperature's warm-up begins", {.min = 0});
  o.add("objective.alice.centre_momentum", p.centre_momentum,
        "share of the old centre kept at each step", {.min = 0, .max = 1});
}

void declare_head(Options& o, model::HeadPlan& p) {
  o.add("objective.alice.hidden", p.hidden, "width of the head's trunk", {.min = 1});
  o.add("objective.alice.bottleneck", p.bottleneck,
        "width of the head's unit vectors; 0: none, its trunk gives the logits", {.min = 0});
  o.add("objective.alice.outputs", p.outputs, "logits of the head, width of CASA", {.min = 2});
  o.add("objective.alice.head_layers", p.layers, "linear layers of the head's trunk", {.min = 1});
  o.add("objective.alice.head_norm", p.norm,
        "norm behind each hidden layer of the trunk, one for all (batch: of each rank's own rows)",
        {.choices = {"none", "batch", "layer"}});
  o.add("objective.alice.head_activation", p.activation, "of the trunk's hidden layers",
        {.choices = {"gelu", "relu"}});
  o.add("objective.alice.norm_last_layer", p.fixed_gain,
        "gains of the weight-normalised last layers stay 1; false: they are trained");
}

void declare_casa(Options& o, Plan& p) {
  o.add("objective.alice.casa_heads", p.casa.heads, "attention heads of CASA", {.min = 1});
  o.add("objective.alice.casa_head_width", p.casa.head_width, "width of one head", {.min = 1});
  o.add("objective.alice.casa_hidden", p.casa.hidden, "width of CASA's feed-forward layer",
        {.min = 1});
  o.add("objective.alice.casa_dropout", p.casa.dropout, "dropout in CASA, student side",
        {.min = 0, .max = 0.99});
  o.add("objective.alice.casa_ema", p.casa_ema,
        "target side of CASA uses EMA copies; false: the online weights");
  o.add("objective.alice.zeta", p.zeta,
        "project CASA's output (Fig. 3); false as in the reference code");
  o.add("objective.alice.target_dropout", p.target_dropout,
        "CASA's dropout on the target side too");
  o.add("objective.alice.drop_path_epochs", p.drop_path_epochs,
        "epochs with stochastic depth; 0: all (the reference loses it after the first)",
        {.min = 0, .unit = "epochs"});
  o.add("objective.alice.target_drop_path", p.target_drop_path,
        "stochastic depth in the target too, while the student's acts");
  o.add("objective.alice.target_tokens", p.target_tokens,
        "target network's keys and values for CASA", {.choices = {"encoder", "decoder"}});
  o.add("objective.alice.target_last", p.target_last,
        "student layer that the target's last layer starts from", {.choices = {"last", "last2"}});
}

}  // namespace

void declare(Options& o, Plan& p) {
  declare_loss(o, p.loss);
  o.add("objective.alice.mask_ratio", p.mask.ratio, "share of cells masked in the student's views",
        {.min = 0, .max = 1});
  o.add("objective.alice.mask_shape", p.mask.shape,
        "columns through all slices, or cubes; auto: cubes for networks that leave tokens out",
        {.choices = {"auto", "column", "cube"}});
  o.add("objective.alice.mask_student_without_mim", p.mask_student_without_mim,
        "mask the student although lambda_reconstruction is 0");
  o.add("objective.alice.target_mask_ratio", p.target_mask_ratio,
        "share of cells masked in the target's views", {.min = 0, .max = 1});
  declare_head(o, p.head);
  declare_casa(o, p);
  o.add("objective.alice.freeze_last_layer", p.freeze_last_layer,
        "last layers get no gradient in epoch 0");
  o.add("objective.alice.clip_casa", p.clip_casa, "gradient clipping applies to CASA too");
}

void validate(const Plan& p) {
  if (p.loss.lambda_inter == 0 && p.loss.lambda_intra == 0 && p.loss.lambda_reconstruction == 0) {
    throw Error(Fault::Usage, "objective.alice: all three lambdas are 0, nothing would be trained",
                "set lambda_inter, lambda_intra or lambda_reconstruction above 0");
  }
  const bool masks = p.mask.ratio > 0;
  if (p.loss.lambda_inter == 0 && p.loss.lambda_intra == 0 && !masks &&
      p.loss.reconstruction_region == "masked") {
    throw Error(Fault::Usage,
                "objective.alice: with mask_ratio 0 no voxel is masked, and "
                "reconstruction_region = masked counts those alone: nothing would be trained",
                "set mask_ratio above 0, or reconstruction_region = all");
  }
}

void check_masks(const Plan& plan, const backbone::FeatureSpec& network,
                 const backbone::Size3& crop) {
  const std::pair<const char*, double> ratios[] = {{"mask_ratio", plan.mask.ratio},
                                                   {"target_mask_ratio", plan.target_mask_ratio}};
  for (const auto& [key, ratio] : ratios) {
    model::MaskPlan mask = plan.mask;
    mask.ratio = ratio;
    if (model::visible_share(mask, crop) > 0 || !network.drops_masked) continue;
    throw Error(Fault::Usage,
                std::string("objective.alice.") + key +
                    " masks the whole crop, and this network sees visible patches alone",
                "lower it, or take a larger crop or smaller patches");
  }
}

}  // namespace homolog::objective::alice
