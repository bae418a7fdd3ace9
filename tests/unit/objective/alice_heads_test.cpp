// The head's variants in Alice: each trains exactly what its rules say; values are in tests/golden.
#include <gtest/gtest.h>

#include "tiny_alice.h"

namespace homolog::objective::alice {
namespace {

using tiny::make;
using tiny::make_views;

class AliceHeads : public ::testing::TestWithParam<std::string> {};

TEST_P(AliceHeads, TrainsExactlyWhatItsRulesSay) {
  const auto alice = make({"objective.alice." + GetParam()});
  const Loss loss = alice->evaluate(make_views({3, 4}), {.epoch = 1});
  ASSERT_TRUE(std::isfinite(loss.total.item<double>()));
  loss.total.backward();
  for (const auto& item : alice->online().named_parameters()) {
    EXPECT_EQ(item.value().grad().defined(), alice->rule(item.key(), item.value()).trained)
        << item.key();
  }
  const auto target = alice->target()->named_parameters(),
             online = alice->online().named_parameters();
  for (const auto& item : target) {
    EXPECT_TRUE(online.contains(item.key())) << item.key();
    EXPECT_FALSE(item.value().requires_grad()) << item.key();
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, AliceHeads,
                         ::testing::Values("head_norm=batch", "head_norm=layer", "head_layers=1",
                                           "head_layers=2", "bottleneck=0", "head_activation=relu",
                                           "norm_last_layer=false"));

TEST(AliceHead, GainsAreTrainedOnlyWhereTheyAreNotFixed) {
  for (const bool fixed : {true, false}) {
    const auto alice =
        make({std::string("objective.alice.norm_last_layer=") + (fixed ? "true" : "false")});
    for (const auto& item : alice->online().named_parameters()) {
      if (item.key().ends_with("weight_g")) {
        EXPECT_EQ(item.value().requires_grad(), !fixed) << item.key();
      }
    }
  }
}

TEST(AliceHead, WithoutABottleneckThereIsNoLastLayer) {
  const auto alice = make({"objective.alice.bottleneck=0"});
  for (const auto& item : alice->online().named_parameters())
    EXPECT_EQ(item.key().find("last_layer"), std::string::npos) << item.key();
}

}  // namespace
}  // namespace homolog::objective::alice
