// What a pass of a network gives, for claims that hold for every one of them.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <array>
#include <map>
#include <string>

#include "model/backbone.h"
#include "tests/unit/model/operators_watched.h"

namespace homolog::backbone {

constexpr std::array<Want, 4> kEveryWant{
    {{true, true}, {true, false}, {false, true}, {false, false}}};

inline std::string text(Want want) {
  return std::string(want.decoder ? "decoder " : "") +
         (want.reconstruction ? "reconstruction" : "");
}

// Those that are defined, by name.
inline std::map<std::string, torch::Tensor> outputs(const Features& features) {
  std::map<std::string, torch::Tensor> out{{"cls", features.cls_BC},
                                           {"encoder", features.encoder_BLC},
                                           {"decoder", features.decoder_BLC},
                                           {"reconstruction", features.reconstruction_B1XYZ}};
  std::erase_if(out, [](const auto& item) { return !item.second.defined(); });
  return out;
}

// A number that every output has a say in.
inline torch::Tensor probe(const Features& features) {
  torch::Tensor sum = torch::zeros({}, features.cls_BC.options());
  for (const auto& [name, value] : outputs(features)) sum = sum + value.pow(3).sum();
  return sum;
}

inline void expect_near(const Features& a, const Features& b, double tolerance = 1e-4) {
  const auto left = outputs(a), right = outputs(b);
  ASSERT_EQ(left.size(), right.size());
  for (const auto& [name, value] : left) {
    const double size = value.abs().max().item<double>();
    EXPECT_TRUE(torch::allclose(value, right.at(name), tolerance, tolerance * size)) << name;
  }
}

inline void expect_same(const Features& a, const Features& b) {
  const auto left = outputs(a), right = outputs(b);
  ASSERT_EQ(left.size(), right.size());
  for (const auto& [name, value] : left) EXPECT_TRUE(torch::equal(value, right.at(name))) << name;
}

// What is wanted is there and nothing else; exactly the parameters that the network calls used get
// a gradient, and no operator meets another one (a table that is fixed may be read).
inline void expect_parts(Backbone& network, const View& view, Want want) {
  SCOPED_TRACE(text(want) + (view.visible_B1XYZ.defined() ? ", masked" : ", whole"));
  const OperatorsWatched watched;
  const Features out = network.run(view, want);
  EXPECT_EQ(out.decoder_BLC.defined(), want.decoder);
  EXPECT_EQ(out.reconstruction_B1XYZ.defined(), want.reconstruction);
  for (torch::Tensor& p : network.parameters()) p.mutable_grad().reset();
  probe(out).backward();
  for (const auto& item : network.named_parameters()) {
    const bool used = network.is_used(item.key(), want);
    EXPECT_EQ(item.value().grad().defined(), used) << item.key();
    if (used || item.value().requires_grad()) {
      EXPECT_EQ(watched.saw(item.value()), used) << item.key();
    }
  }
}

}  // namespace homolog::backbone
