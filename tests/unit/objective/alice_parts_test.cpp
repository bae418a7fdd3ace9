// Tables 10 and 11: a loss whose weight is 0 costs nothing. For every network in the catalogue and
// every combination of losses, no operator of a step meets a weight that the losses left over do
// not need, and exactly the weights that are trained get a gradient.
#include <gtest/gtest.h>

#include <array>

#include "tests/unit/model/operators_watched.h"
#include "tests/unit/objective/tiny_alice.h"

namespace homolog::objective {
namespace {

using namespace tiny;

struct Losses {
  bool reconstruction, inter, intra;
};

// Rows of Table 11, then the combinations that it leaves out.
constexpr std::array<Losses, 7> kRows{{{false, true, false},
                                       {true, true, false},
                                       {true, false, true},
                                       {true, true, true},
                                       {true, false, false},
                                       {false, false, true},
                                       {false, true, true}}};

Settings settings_of(const Losses& row) {
  Settings out;
  if (!row.reconstruction) out.push_back("objective.alice.lambda_reconstruction=0");
  if (!row.inter) out.push_back("objective.alice.lambda_inter=0");
  if (!row.intra) out.push_back("objective.alice.lambda_intra=0");
  return out;
}

std::string text(const Losses& row) {
  return std::string(row.reconstruction ? "reconstruction " : "") + (row.inter ? "inter " : "") +
         (row.intra ? "intra" : "");
}

// Read without being trained: positions that are fixed, gains that stay 1.
bool is_constant(const std::string& name) {
  return name.ends_with("weight_g") || name.find("pos_embed") != std::string::npos ||
         name.find("position_embeddings") != std::string::npos;
}

class AliceParts : public ::testing::TestWithParam<const backbone::Entry*> {};

void expect_student_runs_what_it_trains(Objective& alice, const OperatorsWatched& watched) {
  for (const auto& item : alice.online().named_parameters()) {
    const bool trained = alice.rule(item.key(), item.value()).trained;
    EXPECT_EQ(trained, item.value().grad().defined()) << item.key();
    EXPECT_EQ(trained, item.value().requires_grad()) << item.key();
    if (!trained && is_constant(item.key())) continue;
    EXPECT_EQ(watched.saw(item.value()), trained) << item.key();
  }
}

// `want`: of the target's network.
void expect_target_runs_what_is_needed(Objective& alice, const OperatorsWatched& watched,
                                       const Losses& row, backbone::Backbone& network,
                                       backbone::Want want) {
  for (const auto& item : alice.target()->named_parameters()) {
    const std::string name = item.key();
    bool needed = row.intra || !(name.starts_with("casa.") || name.starts_with("head.mlp3."));
    if (name.starts_with("head.mlp4.")) needed = want.decoder;
    if (name.starts_with("backbone.")) needed = network.is_used(name.substr(9), want);
    if (!needed && is_constant(name)) continue;
    EXPECT_EQ(watched.saw(item.value()), needed) << name;
  }
}

TEST_P(AliceParts, NoOperatorMeetsAWeightThatTheLossesDoNotNeed) {
  const backbone::Size3 crop = crop_of(*GetParam());
  const Views views = make_views({1}, crop);
  const auto network = parts_of(GetParam()->name, small_network(*GetParam())).backbone->make(crop);
  for (const std::string tokens : {"encoder", "decoder"}) {
    for (const Losses& row : kRows) {
      if (tokens == "decoder" && !row.intra) continue;
      SCOPED_TRACE(text(row) + " with " + tokens + " tokens");
      const auto alice = make(joined(settings_of(row), {"objective.alice.target_tokens=" + tokens}),
                              GetParam()->name, crop);
      {
        const OperatorsWatched watched;
        const Loss loss = alice->evaluate(views, {.step = 3});
        loss.total.backward();
        expect_student_runs_what_it_trains(*alice, watched);
        ASSERT_EQ(alice->target() != nullptr, row.inter || row.intra);
        if (alice->target() == nullptr) continue;
        const backbone::Want want{.decoder = row.intra && tokens == "decoder",
                                  .reconstruction = false};
        expect_target_runs_what_is_needed(*alice, watched, row, *network, want);
      }
    }
  }
}

TEST_P(AliceParts, TargetMaskingIsOfTheChosenShareAndChangesTheTargetAlone) {  // Table 10
  const backbone::Size3 crop = crop_of(*GetParam());
  const Views views = make_views({1}, crop);
  const Loss intact = make({}, GetParam()->name, crop)->evaluate(views, {.step = 1});
  for (const std::string ratio : {"0", "0.25", "0.5", "0.75"}) {
    SCOPED_TRACE(ratio);
    const auto alice = make({"objective.alice.target_mask_ratio=" + ratio}, GetParam()->name, crop);
    const Loss loss = alice->evaluate(views, {.step = 1});
    EXPECT_EQ(torch::equal(loss.statistics, intact.statistics), ratio == "0");
    EXPECT_EQ(term(loss, "reconstruction"), term(intact, "reconstruction"));
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, AliceParts, ::testing::ValuesIn(backbone::catalog()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST(AliceAblation, EachPartThatIsLeftOutSavesOperators) {
  const auto tensors = [](const Settings& settings) {
    const auto alice = make(settings);
    const Views views = make_views({1});
    const OperatorsWatched watched;
    alice->evaluate(views, {.step = 3});
    return watched.tensors();
  };
  const std::size_t all = tensors({});
  for (const Losses& row : kRows) {
    if (row.reconstruction && row.intra) continue;  // CASA and both decoders stay
    EXPECT_LT(tensors(settings_of(row)), all) << text(row);
  }
}

}  // namespace
}  // namespace homolog::objective
