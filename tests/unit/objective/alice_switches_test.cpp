// The switches between the paper's and the reference code's behaviour (docs/method/deviations.md):
// what each changes, and what it leaves alone.
#include <gtest/gtest.h>

#include "tests/unit/objective/tiny_alice.h"

namespace homolog::objective {
namespace {

using namespace tiny;

constexpr const char* kDeep = "model.nnformer.drop_path=0.6";

Loss evaluate(const Settings& settings, const StepInfo& info,
              const std::vector<std::uint64_t>& ids = {1, 2}) {
  return make(settings)->evaluate(make_views(ids), info);
}

bool has(torch::nn::Module& module, const std::string& name) {
  return module.named_parameters().contains(name);
}

TEST(AliceSwitches, StochasticDepthEndsWithItsEpochs) {  // D19
  const Settings first = {kDeep, "objective.alice.drop_path_epochs=1"},
                 never = {"model.nnformer.drop_path=0"};
  const auto reconstruction = [](const Settings& settings, std::int64_t epoch) {
    return term(evaluate(settings, {.step = 3, .epoch = epoch}), "reconstruction");
  };
  EXPECT_EQ(reconstruction(first, 1), reconstruction(never, 1));
  EXPECT_EQ(reconstruction(first, 0), reconstruction({kDeep}, 0));
  EXPECT_NE(reconstruction(first, 0), reconstruction(never, 0));
  EXPECT_NE(reconstruction({kDeep}, 1), reconstruction(never, 1)) << "0 epochs: always";
}

TEST(AliceSwitches, TheTargetsStochasticDepthActsWhileTheStudentsDoes) {  // D27
  const Settings both = {kDeep, "objective.alice.drop_path_epochs=1",
                         "objective.alice.target_drop_path=true"},
                 student = {kDeep, "objective.alice.drop_path_epochs=1"};
  const auto outputs = [](const Settings& settings, std::int64_t step, std::int64_t epoch) {
    return evaluate(settings, {.step = step, .epoch = epoch}).statistics.slice(0, 0, 24);
  };
  EXPECT_FALSE(torch::equal(outputs(both, 3, 0), outputs(both, 4, 0)));
  EXPECT_TRUE(torch::equal(outputs(student, 3, 0), outputs(student, 4, 0)));
  EXPECT_TRUE(torch::equal(outputs(both, 3, 1), outputs(student, 3, 1)));
  const auto alice = make(both);
  const Views views = make_views({1});
  alice->evaluate(views, {.step = 3});
  EXPECT_FALSE(alice->target()->is_training()) << "norms and dropout stay in evaluation mode";
  EXPECT_EQ(alice->evaluate(views, {.step = 3, .training = false}).total.item<double>(),
            alice->evaluate(views, {.step = 4, .training = false}).total.item<double>());
}

TEST(AliceSwitches, AFixedPositionTableIsSharedAndNeverTrained) {  // D9
  const std::string table = "backbone.model_down.absolute_pos_embed";
  for (const bool fixed : {false, true}) {
    const auto alice =
        make({fixed ? "model.nnformer.position=fixed" : "model.nnformer.position=learned"});
    const torch::Tensor online = alice->online().named_parameters()[table];
    alice->evaluate(make_views({1}), {.step = 3}).total.backward();
    EXPECT_EQ(online.grad().defined(), !fixed);
    EXPECT_EQ(alice->rule(table, online).trained, !fixed);
    EXPECT_TRUE(torch::equal(online, alice->target()->named_parameters()[table]));
    EXPECT_GT(online.abs().sum().item<double>(), 0);
    EXPECT_TRUE(alice->is_exported(table));
  }
}

TEST(AliceSwitches, OneCasaServesBothSidesWithoutItsAverage) {  // D12
  const auto alice = make({"objective.alice.casa_ema=false"});
  EXPECT_FALSE(has(*alice->target(), "casa.Cross_Att.MH_attn.w_ks.weight"));
  EXPECT_TRUE(has(*make()->target(), "casa.Cross_Att.MH_attn.w_ks.weight"));
  // Equal weights at the start: nothing differs yet, but the online ones get their gradient from
  // the student's side alone.
  EXPECT_EQ(evaluate({"objective.alice.casa_ema=false"}, {.step = 3}).total.item<double>(),
            evaluate({}, {.step = 3}).total.item<double>());
}

TEST(AliceSwitches, ZetaCanBeLeftOut) {  // D13
  const auto alice = make({"objective.alice.zeta=false"});
  EXPECT_FALSE(has(alice->online(), "casa.zeta.weight"));
  EXPECT_TRUE(has(make()->online(), "casa.zeta.weight"));
}

TEST(AliceSwitches, TargetTokensChangeTheTokenTermAlone) {  // D11
  const Loss encoder = evaluate({}, {.step = 3}),
             decoder = evaluate({"objective.alice.target_tokens=decoder"}, {.step = 3});
  EXPECT_NE(term(encoder, "intra"), term(decoder, "intra"));
  EXPECT_EQ(term(encoder, "inter"), term(decoder, "inter"));
}

TEST(AliceSwitches, TargetDropoutIsDrawnPerSampleAndStep) {
  const Settings on = {"objective.alice.target_dropout=true"};
  const auto tokens = [](const Settings& settings, std::int64_t step) {
    return evaluate(settings, {.step = step}).statistics.slice(0, 25);
  };
  EXPECT_FALSE(torch::equal(tokens(on, 3), tokens({}, 3)));
  EXPECT_TRUE(torch::equal(tokens(on, 3), tokens(on, 3)));
  EXPECT_FALSE(torch::equal(tokens(on, 3), tokens(on, 4)));
}

TEST(AliceSwitches, MaskShapesAndRegionsAreWhatTheirNamesSay) {  // D8, D14
  const auto loss = [](const Settings& settings) {
    return term(evaluate(settings, {.step = 3}), "reconstruction");
  };
  const Settings masked = {"objective.alice.reconstruction_region=masked"};
  EXPECT_NE(loss({"objective.alice.mask_shape=cube", "objective.alice.mask_ratio=0.5"}),
            loss({"objective.alice.mask_shape=column", "objective.alice.mask_ratio=0.5"}));
  EXPECT_NE(loss(masked), loss({}));
  EXPECT_NEAR(loss({"objective.alice.reconstruction_scale=1"}), 2 * loss({}), 1e-6);
  EXPECT_EQ(loss(joined(masked, {"objective.alice.mask_ratio=1"})),
            loss({"objective.alice.mask_ratio=1"}))
      << "everything is masked";
}

TEST(AliceSwitches, TheStudentIsMaskedWithoutReconstructionUnlessToldOtherwise) {
  const Settings off = {"objective.alice.lambda_reconstruction=0"};
  const auto inter = [](const Settings& settings, std::int64_t step) {
    return term(evaluate(joined(settings, {"model.nnformer.drop_path=0"}), {.step = step}),
                "inter");
  };
  const Settings bare = joined(off, {"objective.alice.mask_student_without_mim=false"});
  EXPECT_NE(inter(off, 3), inter(off, 4)) << "another mask";
  EXPECT_EQ(inter(bare, 3), inter(bare, 4));
}

TEST(AliceSwitches, RulesOfClippingAndOfTheFirstEpochCanBeChanged) {  // D28
  const auto alice =
      make({"objective.alice.clip_casa=true", "objective.alice.freeze_last_layer=false"});
  const auto rule = [&](const std::string& name) {
    return alice->rule(name, alice->online().named_parameters()[name]);
  };
  EXPECT_TRUE(rule("casa.zeta.weight").clipped);
  EXPECT_FALSE(rule("head.last_layer.weight_v").frozen_first_epoch);
}

TEST(AliceSwitches, TemperaturesAndCentreMomentumAreTaken) {
  const auto alice = make({"objective.alice.centre_momentum=0.5"});
  const Loss loss = alice->evaluate(make_views({1}), {.step = 3});
  alice->absorb(loss.statistics, 1);
  const torch::Tensor mean = loss.statistics.slice(0, 0, 24) / 2;
  EXPECT_TRUE(torch::allclose(alice->state().at("centre_cls").flatten(), 0.5 * mean, 1e-4, 1e-6));
  EXPECT_NE(term(evaluate({"objective.alice.student_temperature=0.2"}, {.step = 3}), "inter"),
            term(evaluate({}, {.step = 3}), "inter"));
}

}  // namespace
}  // namespace homolog::objective
