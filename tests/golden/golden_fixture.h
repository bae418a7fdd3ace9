// Reads the reference's numbers: a fixture in safetensors, its parameter lists in names.tsv, and
// the fill formula that makes parameters and inputs. Comparisons carry the fixture's own tolerance.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "golden_rules.h"
#include "model/weights/weights_file.h"

namespace homolog::golden {

struct NamedEntry {
  std::uint64_t k = 0;  // stream of the formula
  std::string name, kind, note;
  std::vector<std::int64_t> shape;
  double offset = 0, amplitude = 1;
  // A plain attribute in the reference (nnFormer's position table): filled, but in no list of
  // norms.
  bool is_attribute() const {
    return note.find("attribute") != std::string::npos || note.ends_with("not a parameter");
  }
};

using Rename = std::function<std::string(const std::string&)>;  // name in the list -> name of ours
inline std::string same_name(const std::string& name) { return name; }

// Uniform in [-1, 1) from (stream, index): exact in double, the same in every language.
double fill_unit(std::uint64_t k, std::uint64_t i);
torch::Tensor fill(std::uint64_t k, at::IntArrayRef shape, double offset = 0, double amplitude = 1);
torch::Tensor input(std::uint64_t j, at::IntArrayRef shape, double offset = 0,
                    double amplitude = 1);

// L = sum_j <o_j, r_j> / sqrt(numel(o_j)), in double; r_j is stream 2000000 + j.
torch::Tensor probe_loss(const std::vector<torch::Tensor>& outputs);

// Throws Error{Data}: not there, or a line that is none.
std::vector<NamedEntry> read_names(const std::filesystem::path& file);

// Fills parameters and buffers by name (entries of class "int" keep the value that the network
// builds). Returns the names that the module lacks; fails the test where a parameter stays unfilled
// (but `pretrain_decoder.*`, which the published networks do not have) or a shape differs.
std::vector<std::string> fill_module(torch::nn::Module& module, const std::vector<NamedEntry>& rows,
                                     const Rename& rename = same_name);

// L2 norm of each entry's gradient in the list's order, -1 where none exists. Double.
torch::Tensor gradient_norms(const torch::nn::Module& module, const std::vector<NamedEntry>& rows,
                             const Rename& rename = same_name);

// One fixture file. Copies share what was looked at.
class Fixture {
 public:
  // Throws Error{Data}: missing, truncated, metadata that is none.
  explicit Fixture(const std::filesystem::path& file);

  const std::string& name() const { return name_; }  // the file's, without its ending
  const nlohmann::json& config() const { return config_; }
  // `<name>.names.tsv`, or `<name>.<list>.names.tsv`, beside the fixture.
  std::vector<NamedEntry> rows(const std::string& list = "") const;
  // Second column of `<name>.<list>.tsv`, where names alone are told.
  std::vector<std::string> name_list(const std::string& list) const;

  // All stored tensors, `#sub` and `#stats` under one name.
  std::vector<std::string> tensors() const;
  // Of the whole tensor. Throws Error{Data} where the fixture does not tell.
  std::vector<std::int64_t> shape(const std::string& tensor) const;
  // A stored tensor, whole or in part.
  bool has(const std::string& tensor) const;
  // A tensor stored under exactly this name. Throws Error{Data}.
  const torch::Tensor& at(const std::string& tensor) const;
  // An input that the fixture stores under a name without `in.`: taken, so looked at.
  const torch::Tensor& given(const std::string& tensor) const;

  // Fails the test where `value` (whole) is off by more than the tensor's tolerance.
  void expect(const std::string& tensor, const torch::Tensor& value) const;
  // The same for a difference that docs/method/deviations.md explains: at most `limit`, in the
  // tensor's rule.
  void expect_differing(const std::string& tensor, const torch::Tensor& value, double limit,
                        const std::string& reason) const;
  // The tensor's tolerance for all elements but `apart` (positions, row-major), and `limit` for
  // those, for a reason that docs/method/deviations.md explains. REQUIRES: stored whole.
  void expect_but(const std::string& tensor, const torch::Tensor& value,
                  const std::set<std::size_t>& apart, double limit,
                  const std::string& reason) const;

  // Stored tensors that no check looked at; inputs (`in.*`) are none.
  std::vector<std::string> unchecked() const;

 private:
  void judge(const std::string& tensor, Rule rule, const torch::Tensor& value,
             const std::string& reason) const;
  void judge_values(const std::string& tensor, const Rule& rule, const std::vector<double>& got,
                    const std::vector<double>& want, const std::string& reason) const;

  std::filesystem::path file_path_;
  std::string name_;
  model::WeightsFile file_;
  nlohmann::json config_, tolerances_, shapes_;
  std::shared_ptr<std::set<std::string>> looked_at_ = std::make_shared<std::set<std::string>>();
};

}  // namespace homolog::golden
