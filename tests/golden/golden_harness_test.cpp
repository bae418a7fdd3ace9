// The harness itself: rules, and what it refuses.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/error.h"
#include "golden_kind.h"

namespace homolog::golden {
namespace {

const double kNan = std::nan("");

double off(const Rule& rule, const std::vector<double>& got, const std::vector<double>& want) {
  return deviation(rule, got, want).size;
}

TEST(GoldenRules, MaxIsRelativeToTheLargestStoredMagnitude) {
  EXPECT_DOUBLE_EQ(off({"max"}, {1.0, -8.5}, {1.0, -8.0}), 0.0625);
  EXPECT_EQ(off({"max"}, {1e-13}, {0}), 1e-13);
  EXPECT_EQ(off({"max"}, {1e-3}, {0}), kUnbounded);
}

TEST(GoldenRules, ElemIsRelativeToEachElementDownToItsFloor) {
  EXPECT_DOUBLE_EQ(off({"elem", 0, 0.5}, {1.5, 8.0}, {1.0, 8.0}), 0.125);
  EXPECT_DOUBLE_EQ(off({"elem", 0, 1e-3}, {1.5, 8.0}, {1.0, 8.0}), 0.5);
}

TEST(GoldenRules, FracCountsElementsAndExactForgivesNone) {
  EXPECT_DOUBLE_EQ(off({"frac"}, {1, 2, 3, 9}, {1, 2, 3, 4}), 0.25);
  EXPECT_DOUBLE_EQ(off({"frac"}, {1, 2, 3, 4.0001}, {1, 2, 3, 4}), 0);
  EXPECT_EQ(off({"exact"}, {1, 2}, {1, 2}), 0);
  EXPECT_EQ(off({"exact"}, {1, std::nextafter(2.0, 3.0)}, {1, 2}), 1);
}

TEST(GoldenRules, NanMatchesNanAnInfinityItselfAndNothingElse) {
  for (const char* rule : {"max", "elem", "frac", "exact"}) {
    EXPECT_EQ(off({rule}, {kNan, kUnbounded, 1}, {kNan, kUnbounded, 1}), 0) << rule;
    EXPECT_EQ(off({rule}, {kNan}, {1}), kUnbounded) << rule;
    EXPECT_EQ(off({rule}, {1}, {kNan}), kUnbounded) << rule;
    EXPECT_EQ(off({rule}, {-kUnbounded}, {kUnbounded}), kUnbounded) << rule;
  }
}

TEST(GoldenRules, StatsSeeWhatTheSubSampleMisses) {
  const std::vector<double> values{1, 2, 3, 4},
      stats{2.5, std::sqrt(1.25), std::sqrt(30.0), 1, 4, 4};
  EXPECT_LT(stats_deviation(values, stats), 1e-12);
  EXPECT_GT(stats_deviation({1, 2.1, 3, 4}, stats), 1e-3);
  EXPECT_EQ(stats_deviation({1, 2, 3}, stats), kUnbounded);
}

TEST(GoldenFormula, GivesThePublishedExamples) {
  EXPECT_EQ(fill_unit(0, 0), 0.4915590188211094);
  EXPECT_EQ(fill_unit(5, 1'000'000), -0.43274449189333963);
  EXPECT_EQ(fill_unit(1'000'000, 1), -0.6043250880328948);
  EXPECT_FLOAT_EQ(fill(7, {4}, 1.0, 0.2)[3].item<float>(), 0.9650707F);
}

class GoldenHarness : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::path(::testing::TempDir()) /
        ("golden_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
    file_ = folder_ / "f_toy.safetensors";
    model::write_weights(
        file_, {.tensors = {{"in.x", torch::ones({2})},
                            {"y", torch::full({2}, 2.0)},
                            {"z", torch::full({2}, 3.0)}},
                .metadata = {{"config", R"({"width": 2})"},
                             {"tolerances", R"({"y": ["max", 1e-5], "z": ["max", 1e-5]})"}}});
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static Kind kind(std::function<void(const Fixture&)> check) {
    return {"toy", [](const Fixture& f) { return f.config().at("width") == 2; }, std::move(check)};
  }
  std::string refusal(const std::vector<Kind>& among) {
    try {
      check_fixture(file_, among);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  std::filesystem::path folder_, file_;
};

TEST_F(GoldenHarness, RefusesAFixtureThatNoKindKnowsByNameAndKeys) {
  const Kind other{"other", [](const Fixture& f) { return f.config().at("depth") == 2; }, {}};
  EXPECT_NE(refusal({other}).find("no kind knows this fixture: f_toy, its configuration has width"),
            std::string::npos);
}

TEST_F(GoldenHarness, NamesKindsThatNoFixtureBelongsTo) {
  const Kind other{"other", [](const Fixture& f) { return f.config().at("depth") == 2; }, {}};
  const auto known = kind([](const Fixture&) {});
  EXPECT_EQ(kinds_without_fixture(folder_, {other, known}), std::vector<std::string>{"other"});
  std::filesystem::resize_file(file_, 9);
  EXPECT_EQ(joined(kinds_without_fixture(folder_, {other, known})), "other, toy");
}

TEST_F(GoldenHarness, NamesStoredTensorsThatNoCheckLookedAt) {
  const auto some = kind([](const Fixture& f) { f.expect("y", 2 * f.at("in.x")); });
  EXPECT_NE(refusal({some}).find("no check looked at 1 tensors of f_toy: z"), std::string::npos);
  const auto all = kind([](const Fixture& f) {
    f.expect("y", 2 * f.at("in.x"));
    f.expect("z", 3 * f.at("in.x"));
  });
  EXPECT_EQ(refusal({all}), "");
}

TEST_F(GoldenHarness, FailsAValueThatIsOffAndATensorThatIsNotStored) {
  const Fixture fixture(file_);
  EXPECT_NONFATAL_FAILURE(fixture.expect("y", torch::full({2}, 2.1)), "y (max): off by 0.0");
  EXPECT_NONFATAL_FAILURE(fixture.expect("y", torch::full({3}, 2.0)), "3 elements, expected 2");
  EXPECT_NONFATAL_FAILURE(fixture.expect("w", torch::ones({2})), "stores no tensor w");
  fixture.expect_differing("y", torch::full({2}, 2.1), 0.06, "a documented difference");
}

TEST_F(GoldenHarness, HoldsAllButTheElementsNamedToTheFixturesTolerance) {
  const Fixture fixture(file_);
  const torch::Tensor off = torch::tensor({2.0, 2.1});
  fixture.expect_but("y", off, {1}, 0.06, "a documented difference");
  EXPECT_NONFATAL_FAILURE(fixture.expect_but("y", off, {0}, 0.06, ""), "worst at 1");
  EXPECT_NONFATAL_FAILURE(fixture.expect_but("y", off, {1}, 0.01, ""), "allowed 0.01");
}

TEST_F(GoldenHarness, RefusesATruncatedFixtureAndAMissingListOfNames) {
  EXPECT_THROW(Fixture(file_).rows("small"), Error);
  std::filesystem::resize_file(file_, std::filesystem::file_size(file_) - 4);
  EXPECT_NE(refusal({kind([](const Fixture&) {})}).find("truncated"), std::string::npos);
}

TEST_F(GoldenHarness, FillsBuffersAndSaysWhichEntriesAModuleLacks) {
  struct Net : torch::nn::Module {
    Net() {
      weight = register_parameter("weight", torch::zeros({2}));
      mean = register_buffer("mean", torch::zeros({2}));
      count = register_buffer("count", torch::zeros({}, torch::kLong));
    }
    torch::Tensor weight, mean, count;
  } net;
  std::ofstream(folder_ / "f_toy.names.tsv")
      << "k\tname\tshape\tclass\toffset\tamplitude\n0\tweight\t2\tgamma\t1.0\t0.2\n"
         "1\tmean\t2\trmean\t0\t0.1\n2\tcount\tscalar\tint\t\t\n3\tgone\t4\tbias\t0\t1\n";
  const auto rows = Fixture(file_).rows();
  EXPECT_EQ(fill_module(net, rows), std::vector<std::string>{"gone"});
  EXPECT_TRUE(torch::equal(net.weight, fill(0, {2}, 1.0, 0.2)));
  EXPECT_TRUE(torch::equal(net.mean, fill(1, {2}, 0, 0.1)));
  (net.weight * 2).sum().backward();
  EXPECT_EQ(gradient_norms(net, rows)[1].item<double>(), -1);
}

}  // namespace
}  // namespace homolog::golden
