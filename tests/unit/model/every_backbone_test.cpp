// What Alice, checkpoints and exports rely on in a network, for each one of the catalogue and each
// of its switches. A new backbone is held to it without a line here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "model/parameter_names.h"
#include "tests/unit/model/backbone_claims.h"
#include "tests/unit/model/tiny_network.h"

namespace homolog::backbone {
namespace {

using ::testing::HasSubstr;
using tiny::Variant;

// Unequal sides where the network takes them.
const std::vector<Size3> kCrops{{32, 16, 48}, {64, 32, 32}};

class EveryBackbone : public ::testing::TestWithParam<const Entry*> {
 protected:
  // The network as its options are, then with each switch set.
  template <class Claim>
  void hold(Claim&& claim) const {
    for (const Variant& variant : tiny::variants(*GetParam())) {
      SCOPED_TRACE(variant.name);
      claim(variant, tiny::crop_for(*variant.entry, variant.options, kCrops));
    }
  }
};

std::shared_ptr<Backbone> evaluating(const Variant& variant, const Size3& crop) {
  auto network = tiny::make(variant, crop);
  network->eval();
  return network;
}

View half_seen(const Backbone& network, std::int64_t rows, const Size3& crop) {
  return tiny::masked(rows, crop, network.spec().mask_cell, 0.5);
}

// With stochastic depth, where the network has it.
Variant dropping(Variant variant) {
  for (const auto& item : tiny::declared(*variant.entry).defaults)
    if (item.first.ends_with(".drop_path")) variant.options[item.first] = "0.8";
  return variant;
}

// Statistics of the batch tie the rows of a training pass together.
bool has_batch_statistics(const Backbone& network) {
  const auto buffers = network.named_buffers();
  return std::any_of(buffers.begin(), buffers.end(),
                     [](const auto& item) { return item.key().ends_with("running_mean"); });
}

TEST_P(EveryBackbone, GivesWhatItsSpecSaysInShape) {
  const torch::NoGradGuard no_grad;
  hold([](const Variant& variant, const Size3& crop) {
    const auto net = evaluating(variant, crop);
    const FeatureSpec spec = net->spec();
    const auto out = net->run({tiny::image(2, crop)}, {});
    const std::int64_t queries = out.encoder_BLC.size(1), keys = out.decoder_BLC.size(1);
    EXPECT_EQ(out.cls_BC.sizes(), at::IntArrayRef({2, spec.encoder_channels}));
    EXPECT_EQ(out.encoder_BLC.sizes(), at::IntArrayRef({2, queries, spec.encoder_channels}));
    EXPECT_EQ(out.decoder_BLC.sizes(), at::IntArrayRef({2, keys, spec.decoder_channels}));
    EXPECT_EQ(out.reconstruction_B1XYZ.sizes(), at::IntArrayRef({2, 1, crop[0], crop[1], crop[2]}));
    EXPECT_EQ(keys % queries, 0) << "the decoder's tokens lie at a finer level or the same";
    for (std::size_t a = 0; a < 3; ++a) EXPECT_EQ(crop[a] % spec.mask_cell[a], 0) << a;
  });
}

TEST_P(EveryBackbone, RunsWhatIsWantedAndTrainsExactlyWhatItCallsUsed) {
  hold([](const Variant& variant, const Size3& crop) {
    const auto net = evaluating(variant, crop);
    net->train();
    for (const Want want : kEveryWant) {
      expect_parts(*net, half_seen(*net, 2, crop), want);
      if (net->spec().drops_masked) expect_parts(*net, {tiny::image(2, crop)}, want);
    }
  });
}

TEST_P(EveryBackbone, MaskedVoxelsInfluenceNothingAndTheOthersDo) {
  const torch::NoGradGuard no_grad;
  hold([](const Variant& variant, const Size3& crop) {
    const auto net = evaluating(variant, crop);
    View view = half_seen(*net, 2, crop);
    const Features before = net->run(view, {});
    view.image_B1XYZ =
        torch::where(view.visible_B1XYZ == 1, view.image_B1XYZ, tiny::image(2, crop) * 100);
    expect_same(before, net->run(view, {}));
    view.image_B1XYZ = view.image_B1XYZ * 0.5;
    const auto was = outputs(before), now = outputs(net->run(view, {}));
    for (const auto& [name, value] : was) EXPECT_FALSE(torch::equal(value, now.at(name))) << name;
  });
}

TEST_P(EveryBackbone, LeavesMaskedTokensOutOrSeesZerosAsItsSpecSays) {
  const torch::NoGradGuard no_grad;
  hold([](const Variant& variant, const Size3& crop) {
    const auto net = evaluating(variant, crop);
    const View view = half_seen(*net, 2, crop);
    const Features masked = net->run(view, {});
    const Features zeros = net->run({view.image_B1XYZ * view.visible_B1XYZ}, {});
    if (!net->spec().drops_masked) {
      expect_same(masked, zeros);
      return;
    }
    EXPECT_EQ(2 * masked.encoder_BLC.size(1), zeros.encoder_BLC.size(1));
    EXPECT_EQ(masked.decoder_BLC.sizes(), zeros.decoder_BLC.sizes());
  });
}

TEST_P(EveryBackbone, ARowDoesNotDependOnTheOthers) {
  const torch::NoGradGuard no_grad;
  hold([](const Variant& variant, const Size3& crop) {
    const auto net = evaluating(variant, crop);
    const View rows = half_seen(*net, 3, crop);
    const Features together = net->run(rows, {}), alone = net->run(tiny::row_of(rows, 2), {});
    Features last;
    last.cls_BC = together.cls_BC.slice(0, 2);
    last.encoder_BLC = together.encoder_BLC.slice(0, 2);
    last.decoder_BLC = together.decoder_BLC.slice(0, 2);
    last.reconstruction_B1XYZ = together.reconstruction_B1XYZ.slice(0, 2);
    expect_near(last, alone, 1e-3);
  });
}

TEST_P(EveryBackbone, StochasticDepthFollowsTheRowsKeyAndNotItsPlace) {
  const torch::NoGradGuard no_grad;
  hold([](const Variant& variant, const Size3& crop) {
    const Variant with = dropping(variant);
    const auto net = evaluating(with, crop);
    if (!has_batch_statistics(*net)) net->train();
    const View rows = half_seen(*net, 3, crop), third = tiny::row_of(rows, 2);
    const auto cls = [&](const View& view, std::vector<std::uint64_t> keys) {
      net->set_draws(model::RowDraws(7, std::move(keys)));
      return net->run(view, {.decoder = false, .reconstruction = false}).cls_BC;
    };
    using model::row_key;
    const torch::Tensor all = cls(rows, {row_key(1, 5, 0), row_key(2, 5, 0), row_key(3, 5, 0)});
    const torch::Tensor alone = cls(third, {row_key(3, 5, 0)});
    EXPECT_TRUE(torch::allclose(all.slice(0, 2), alone, 1e-3, 1e-4));
    const bool drops = with.options != variant.options;
    bool moves = false;  // one step may happen to keep what another one keeps
    for (std::int64_t step = 6; step < 9; ++step)
      moves = moves || !torch::allclose(cls(third, {row_key(3, step, 0)}), alone, 1e-3, 1e-4);
    EXPECT_EQ(moves, drops);
  });
}

TEST_P(EveryBackbone, EvaluationDrawsNothingAndSoDoesTrainingThatIsToldNotTo) {
  const torch::NoGradGuard no_grad;
  hold([](const Variant& variant, const Size3& crop) {
    const auto net = evaluating(dropping(variant), crop);
    const View view = half_seen(*net, 2, crop);
    torch::manual_seed(1);
    const Features once = net->run(view, {});
    torch::manual_seed(2);
    expect_same(once, net->run(view, {}));
    if (has_batch_statistics(*net)) return;
    net->train();
    net->set_drop_path(Backbone::DropPath::Never);
    expect_same(once, net->run(view, {}));
  });
}

TEST_P(EveryBackbone, TakesACropThatItWasNotMadeFor) {
  const torch::NoGradGuard no_grad;
  hold([](const Variant& variant, const Size3& crop) {
    const Size3 other{crop[1], crop[2], crop[0]};
    const auto out = evaluating(variant, crop)->run({tiny::image(1, other)}, {});
    EXPECT_EQ(out.reconstruction_B1XYZ.sizes(),
              at::IntArrayRef({1, 1, other[0], other[1], other[2]}));
  });
}

TEST_P(EveryBackbone, RefusesCropsThatItCannotTakeByTheirSide) {
  hold([](const Variant& variant, const Size3& crop) {
    const auto net = evaluating(variant, crop);
    for (std::size_t a = 0; a < 3; ++a) {
      Size3 odd = crop, none = crop;
      odd[a] += 1;
      none[a] = 0;
      const std::string why = tiny::refusal([&] { tiny::make(variant, odd); });
      EXPECT_THAT(why, HasSubstr(std::to_string(odd[a])));
      EXPECT_NE(tiny::refusal([&] { tiny::make(variant, none); }), "accepted");
      const std::string late = tiny::refusal([&] { net->run({tiny::image(1, odd)}, {}); });
      EXPECT_THAT(late, HasSubstr(std::to_string(odd[a])));
    }
  });
}

TEST_P(EveryBackbone, ExportsAllThatItsEncoderNeeds) {
  hold([](const Variant& variant, const Size3& crop) {
    const auto net = evaluating(variant, crop);
    const MonaiForm form = net->monai();
    for (const auto& [name, tensor] : model::named_tensors(*net)) {
      if (net->is_used(name, {.decoder = false, .reconstruction = false}) &&
          net->named_parameters().contains(name)) {
        EXPECT_TRUE(net->is_encoder_parameter(name)) << name;
      }
      if (!form.network.empty() && !form.own.empty() && name.starts_with(form.own)) {
        EXPECT_FALSE(net->is_encoder_parameter(name)) << name << " is none of MONAI's";
      }
    }
    if (!form.network.empty()) {
      EXPECT_TRUE(nlohmann::json::parse(form.arguments).is_object());
    }
    EXPECT_EQ(form.network.empty(), form.arguments.empty());
  });
}

constexpr Size3 kCube{64, 64, 64};  // large enough for every window

TEST_P(EveryBackbone, ShapesFollowTheCropInItsPositionTablesAlone) {
  hold([](const Variant& variant, const Size3& /*crop*/) {
    const auto cube = tiny::make(variant, kCube), slab = tiny::make(variant, {64, 128, 64});
    const auto wide = model::named_tensors(*slab);
    const auto tables = cube->position_tables(), wide_tables = slab->position_tables();
    for (const auto& [name, grid] : tables)
      EXPECT_TRUE(model::named_tensors(*cube).contains(name)) << name << " is none of its tensors";
    for (const auto& [name, tensor] : model::named_tensors(*cube)) {
      const auto table = tables.find(name);
      if (table == tables.end()) {
        EXPECT_EQ(tensor.sizes(), wide.at(name).sizes()) << name;
        continue;
      }
      const Size3 &grid = table->second, &wide_grid = wide_tables.at(name);
      EXPECT_EQ(tensor.size(1), grid[0] * grid[1] * grid[2]) << name;
      EXPECT_EQ(wide_grid, (Size3{grid[0], 2 * grid[1], grid[2]})) << name;
    }
  });
}

TEST_P(EveryBackbone, AloneRecognisesItsWeightsAndIsBuiltFromThem) {
  hold([](const Variant& variant, const Size3& /*crop*/) {
    auto tensors = model::named_tensors(*tiny::make(variant, kCube));
    for (const Entry* entry : catalog()) {
      const auto found = entry->factory()->recognise(tensors);
      ASSERT_EQ(found.has_value(), entry == variant.entry) << entry->name;
      if (!found) continue;
      for (const Misfit& misfit : found->misfits) ADD_FAILURE() << misfit.what;
      if (found->crop != Size3{}) {
        EXPECT_EQ(found->crop, kCube);
      }
      const Built built = build(*entry, found->options, kCube);
      const auto again = model::named_tensors(*built.network);
      for (const auto& [name, tensor] : again) {
        ASSERT_TRUE(tensors.contains(name)) << name;
        EXPECT_EQ(tensor.sizes(), tensors.at(name).sizes()) << name;
      }
      EXPECT_EQ(again.size(), tensors.size());
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Catalog, EveryBackbone, ::testing::ValuesIn(catalog()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST(BackboneCatalog, SwitchesOfBothKindsAreAmongTheVariants) {
  std::set<std::string> names;
  for (const Entry* entry : catalog())
    for (const Variant& variant : tiny::variants(*entry)) names.insert(variant.name);
  EXPECT_THAT(names, ::testing::IsSupersetOf({"nnformer", "resnet", "swin_unetr", "unetr", "vit",
                                              "resnet, norm=instance", "swin_unetr, use_v2=true",
                                              "vit, positions=sincos", "unetr, res_block=false"}));
}

TEST(BackboneCatalog, FindsNnFormerAndNamesTheNearestOtherwise) {
  EXPECT_STREQ(find("nnformer").name, "nnformer");
  EXPECT_THAT(tiny::refusal([] { find("nnforner"); }), HasSubstr("nnformer"));
}

}  // namespace
}  // namespace homolog::backbone
