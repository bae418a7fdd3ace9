// Alice's loss and its gradients against the formulas of method.md 4, written as loops over
// samples, tokens and classes in double.
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>
#include <vector>

#include "objective/alice_loss.h"

namespace homolog::objective::alice {
namespace {

using Row = std::vector<double>;

Row row_of(const torch::Tensor& x) {
  const torch::Tensor d = x.detach().to(torch::kDouble).contiguous().flatten();
  return {d.data_ptr<double>(), d.data_ptr<double>() + d.numel()};
}

Row softmax(Row x, double temperature) {
  double top = x[0], sum = 0;
  for (const double v : x) top = std::max(top, v);
  for (double& v : x) sum += v = std::exp((v - top) / temperature);
  for (double& v : x) v /= sum;
  return x;
}

// -sum_k softmax((target - centre)/t)_k log softmax(student/0.1)_k of one row; adds d/d student.
double cross_entropy(const Row& target, const Row& centre, double t, const Row& student, double s,
                     double weight, Row& gradient) {
  Row shifted(target.size());
  for (std::size_t k = 0; k < target.size(); ++k) shifted[k] = target[k] - centre[k];
  const Row wanted = softmax(shifted, t), given = softmax(student, s);
  double loss = 0;
  for (std::size_t k = 0; k < target.size(); ++k) {
    loss -= wanted[k] * std::log(given[k]);
    gradient[k] += weight * (given[k] - wanted[k]) / s;
  }
  return weight * loss;
}

struct Case {
  LossPlan plan;
  std::int64_t pairs = 3, tokens = 5, width = 7, epoch = 4;
  torch::Tensor target, tokens_target, student, tokens_student;
  torch::Tensor centre = torch::randn({1, 7}) * 0.1, centre_tokens = torch::randn({1, 1, 7}) * 0.1;
  Case() {
    torch::manual_seed(5);
    plan.intra_start_epoch = 2;
    target = torch::randn({2 * pairs, width}) * 0.05;
    tokens_target = torch::randn({2 * pairs, tokens, width}) * 0.05;
    student = (torch::randn({2 * pairs, width}) * 0.3).requires_grad_();
    tokens_student = (torch::randn({2 * pairs, tokens, width}) * 0.3).requires_grad_();
  }
};

void expect_near(const Row& got, const Row& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance) << i;
}

// Temperature of the target: 0.008 to 0.010 in equal steps over 30 epochs from `start`.
double temperature(std::int64_t epoch, std::int64_t start) {
  std::vector<double> points;
  for (int i = 0; i < 30; ++i) points.push_back(0.008 + 0.002 * i / 29);
  if (epoch < start) return points[0];
  return epoch - start < 30 ? points[static_cast<std::size_t>(epoch - start)] : 0.010;
}

TEST(AliceLossPlain, ClassTermIsTheMeanOfBothCrossings) {
  Case c;
  const torch::Tensor loss = inter_loss(c.plan, c.target, c.centre, c.student, c.epoch);
  loss.backward();
  double want = 0;
  Row gradient;
  for (std::int64_t row = 0; row < 2 * c.pairs; ++row) {  // row: of the student
    const std::int64_t other = row < c.pairs ? row + c.pairs : row - c.pairs;
    Row g(7, 0.0);
    want += cross_entropy(row_of(c.target[other]), row_of(c.centre), temperature(c.epoch, 0),
                          row_of(c.student[row]), 0.1, 0.5 / double(c.pairs), g);
    gradient.insert(gradient.end(), g.begin(), g.end());
  }
  EXPECT_NEAR(loss.item<double>(), want, 1e-5 * want);
  expect_near(row_of(c.student.grad()), gradient, 1e-5);
}

TEST(AliceLossPlain, TokenTermIsTheMeanOverViewsSamplesAndTokens) {
  Case c;
  const torch::Tensor loss =
      intra_loss(c.plan, c.tokens_target, c.centre_tokens, c.tokens_student, c.epoch);
  loss.backward();
  double want = 0;
  Row gradient;
  for (std::int64_t row = 0; row < 2 * c.pairs; ++row) {
    for (std::int64_t token = 0; token < c.tokens; ++token) {
      Row g(7, 0.0);
      want += cross_entropy(row_of(c.tokens_target[row][token]), row_of(c.centre_tokens),
                            temperature(c.epoch, 2), row_of(c.tokens_student[row][token]), 0.1,
                            0.5 / double(c.pairs * c.tokens), g);
      gradient.insert(gradient.end(), g.begin(), g.end());
    }
  }
  EXPECT_NEAR(loss.item<double>(), want, 1e-5 * want);
  expect_near(row_of(c.tokens_student.grad()), gradient, 1e-5);
}

TEST(AliceLossPlain, ReconstructionIsTheScaledMeanOfSquaresInItsRegion) {
  torch::manual_seed(6);
  const torch::Tensor image = torch::rand({2, 1, 4, 4, 4}),
                      visible = (torch::rand({2, 1, 4, 4, 4}) < 0.4).to(torch::kFloat);
  for (const char* region : {"all", "masked"}) {
    torch::Tensor output = torch::rand({2, 1, 4, 4, 4}).requires_grad_();
    LossPlan plan;
    plan.reconstruction_region = region;
    const torch::Tensor loss = reconstruction_loss(plan, output, image, visible);
    loss.backward();
    const Row o = row_of(output), x = row_of(image), v = row_of(visible);
    double sum = 0, count = 0;
    Row gradient(o.size(), 0.0);
    for (std::size_t i = 0; i < o.size(); ++i) {
      if (plan.reconstruction_region == "masked" && v[i] == 1) continue;
      sum += (o[i] - x[i]) * (o[i] - x[i]);
      gradient[i] = o[i] - x[i];
      ++count;
    }
    for (double& g : gradient) g /= count;  // 0.5 * 2 (o - x) / count
    EXPECT_NEAR(loss.item<double>(), 0.5 * sum / count, 1e-6) << region;
    expect_near(row_of(output.grad()), gradient, 1e-7);
  }
}

TEST(AliceLossPlain, CentreMovesByATenthToTheMeanOfItsRows) {
  Case c;
  const Row before = row_of(c.centre_tokens);
  Row want(7, 0.0);
  for (std::int64_t row = 0; row < 2 * c.pairs; ++row) {
    for (std::int64_t token = 0; token < c.tokens; ++token) {
      const Row x = row_of(c.tokens_target[row][token]);
      for (std::size_t k = 0; k < 7; ++k) want[k] += x[k] / double(2 * c.pairs * c.tokens);
    }
  }
  for (std::size_t k = 0; k < 7; ++k) want[k] = 0.9 * before[k] + 0.1 * want[k];
  update_centre(c.centre_tokens, centre_sums(c.tokens_target, 7), 0.9);
  expect_near(row_of(c.centre_tokens), want, 1e-7);
}

}  // namespace
}  // namespace homolog::objective::alice
