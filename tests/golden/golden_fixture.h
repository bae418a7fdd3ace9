// Reads the reference's numbers: fixtures in safetensors, parameter lists in names.tsv, and the
// fill formula that makes parameters and inputs. Comparisons carry each fixture's own tolerance.
#pragma once

#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "model/weights_file.h"

namespace homolog::golden {

struct NamedEntry {
  std::uint64_t k = 0;
  std::string name, kind;
  std::vector<std::int64_t> shape;
  double offset = 0, amplitude = 1;
};

// HOMOLOG_GOLDENS, ../shared/goldens beside the source, or the copies kept in
// tests/golden/fixtures.
inline std::optional<std::filesystem::path> find_file(const std::string& name) {
  std::vector<std::filesystem::path> folders;
  if (const char* chosen = std::getenv("HOMOLOG_GOLDENS")) folders.emplace_back(chosen);
  const std::filesystem::path source(HOMOLOG_SOURCE_DIR);
  folders.push_back(source / "../shared/goldens");
  folders.push_back(source / "tests/golden/fixtures");
  for (const auto& folder : folders) {
    if (std::filesystem::exists(folder / name)) return folder / name;
  }
  return std::nullopt;
}

// Uniform in [-1, 1) from (stream, index): exact in double, the same in every language.
inline double fill_unit(std::uint64_t k, std::uint64_t i) {
  std::uint64_t x = ((k + 1) << 32) + i;
  x *= 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1p-53 * 2 - 1;
}

inline torch::Tensor fill(std::uint64_t k, at::IntArrayRef shape, double offset = 0,
                          double amplitude = 1) {
  torch::Tensor out = torch::empty(shape, torch::kFloat);
  auto* data = out.data_ptr<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    data[i] = static_cast<float>(offset + amplitude * fill_unit(k, static_cast<std::uint64_t>(i)));
  }
  return out;
}

inline torch::Tensor input(std::uint64_t j, at::IntArrayRef shape, double offset = 0,
                           double amplitude = 1) {
  return fill(1'000'000 + j, shape, offset, amplitude);
}

// L = sum_j <o_j, r_j> / sqrt(numel(o_j)), in double.
inline torch::Tensor probe_loss(const std::vector<torch::Tensor>& outputs) {
  torch::Tensor loss = torch::zeros({}, torch::kDouble);
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    const torch::Tensor r = fill(2'000'000 + j, outputs[j].sizes());
    loss = loss +
           (outputs[j].to(torch::kDouble) * r).sum() / std::sqrt(static_cast<double>(r.numel()));
  }
  return loss;
}

inline std::vector<NamedEntry> read_names(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);  // header
  std::vector<NamedEntry> rows;
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string k, shape, offset, amplitude;
    NamedEntry row;
    std::getline(fields, k, '\t');
    std::getline(fields, row.name, '\t');
    std::getline(fields, shape, '\t');
    std::getline(fields, row.kind, '\t');
    std::getline(fields, offset, '\t');
    std::getline(fields, amplitude, '\t');
    row.k = std::stoull(k);
    std::istringstream sides(shape);
    for (std::string side; shape != "scalar" && std::getline(sides, side, 'x');)
      row.shape.push_back(std::stoll(side));
    if (!offset.empty()) row.offset = std::stod(offset);
    if (!amplitude.empty()) row.amplitude = std::stod(amplitude);
    rows.push_back(row);
  }
  return rows;
}

// Fills the module's parameters by name. Returns the names in the list that the module lacks; fails
// where a parameter of the module stays unfilled or a shape differs.
template <class Rename>
std::vector<std::string> fill_module(torch::nn::Module& module, const std::vector<NamedEntry>& rows,
                                     Rename rename) {
  const torch::NoGradGuard no_grad;
  auto parameters = module.named_parameters();
  std::map<std::string, bool> filled;
  std::vector<std::string> lacking;
  for (const NamedEntry& row : rows) {
    const std::string name = rename(row.name);
    torch::Tensor* parameter = name.empty() ? nullptr : parameters.find(name);
    if (parameter == nullptr) {
      lacking.push_back(row.name);
      continue;
    }
    EXPECT_EQ(parameter->sizes(), at::IntArrayRef(row.shape)) << name;
    parameter->copy_(fill(row.k, row.shape, row.offset, row.amplitude));
    filled[name] = true;
  }
  for (const auto& item : parameters)
    EXPECT_TRUE(filled.count(item.key()) != 0U) << "not filled: " << item.key();
  return lacking;
}

// One fixture file with its tolerances.
class Fixture {
 public:
  static std::optional<Fixture> open(const std::string& name) {
    const auto file = find_file(name + ".safetensors");
    if (!file) return std::nullopt;
    Fixture out;
    out.file_ = model::read_weights(*file);
    out.tolerances_ = nlohmann::json::parse(out.file_.metadata.at("tolerances"));
    return out;
  }

  const torch::Tensor& at(const std::string& name) const { return file_.tensors.at(name); }
  bool has(const std::string& name) const { return file_.tensors.count(name) != 0; }
  nlohmann::json config() const { return nlohmann::json::parse(file_.metadata.at("config")); }

  // Whole tensor, or its stored sub-sample and statistics; by the fixture's own rule and tolerance.
  void expect(const std::string& name, const torch::Tensor& value) const {
    const nlohmann::json rule = tolerances_.at(name);
    torch::Tensor got = value.detach().to(torch::kDouble).contiguous(), want;
    if (has(name)) {
      want = at(name).to(torch::kDouble);
      ASSERT_EQ(got.numel(), want.numel()) << name;
      got = got.flatten(), want = want.flatten();
    } else {
      const torch::Tensor& stats = at(name + "#stats");  // mean, std, L2, min, max, numel, stride
      ASSERT_EQ(got.numel(), static_cast<std::int64_t>(stats[5].item<double>())) << name;
      const double l2 = stats[2].item<double>();
      EXPECT_NEAR(got.norm().item<double>() / l2, 1.0, 10 * rule.at(1).get<double>())
          << name << " (L2)";
      got = got.flatten().slice(0, 0, got.numel(),
                                static_cast<std::int64_t>(stats[6].item<double>()));
      want = at(name + "#sub").to(torch::kDouble);
    }
    compare(name, rule, got, want, want.abs().max().item<double>());
  }

  // A list where -1 means "no gradient"; `picked` are the positions that `value` holds.
  void expect_picked(const std::string& name, const torch::Tensor& value,
                     const std::vector<std::int64_t>& picked) const {
    const torch::Tensor want = at(name).to(torch::kDouble).flatten();
    compare(name, tolerances_.at(name), value.to(torch::kDouble).flatten(),
            want.index_select(0, torch::tensor(picked)), want.abs().max().item<double>());
  }

 private:
  static void compare(const std::string& name, const nlohmann::json& rule, const torch::Tensor& got,
                      const torch::Tensor& want, double scale) {
    ASSERT_EQ(got.sizes(), want.sizes()) << name;
    const torch::Tensor error = (got - want).abs();
    const double tolerance = rule.at(1).get<double>();
    if (rule.at(0) == "max") {
      EXPECT_LE(error.max().item<double>(), tolerance * scale + 1e-12)
          << name << " (largest magnitude " << scale << ")";
      return;
    }
    ASSERT_EQ(rule.at(0), "elem") << name;
    const double floor = rule.size() > 2 ? rule.at(2).get<double>() : 1e-5;  // as check.py
    const torch::Tensor bound = tolerance * want.abs().clamp_min(floor * scale);
    const torch::Tensor excess = error / bound;
    const std::int64_t worst = excess.argmax().item<std::int64_t>();
    EXPECT_LE(excess.max().item<double>(), 1.0)
        << name << "[" << worst << "]: got " << got[worst].item<double>() << ", want "
        << want[worst].item<double>();
  }

  model::WeightsFile file_;
  nlohmann::json tolerances_;
};

}  // namespace homolog::golden
