#include "golden_fixture.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cmath>
#include <map>

#include "base/error.h"
#include "golden_report.h"

namespace homolog::golden {
namespace {

std::string base_name(const std::string& stored) { return stored.substr(0, stored.find('#')); }

std::vector<double> numbers(const torch::Tensor& tensor) {
  const torch::Tensor flat =
      tensor.detach().to(torch::kCPU).to(torch::kDouble).contiguous().flatten();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

nlohmann::json metadata_json(const model::WeightsFile& file, const std::string& key) {
  const auto found = file.metadata.find(key);
  return found == file.metadata.end() ? nlohmann::json::object()
                                      : nlohmann::json::parse(found->second);
}

std::vector<std::int64_t> without_ones(at::IntArrayRef shape) {
  std::vector<std::int64_t> out;
  for (const std::int64_t side : shape) {
    if (side != 1) out.push_back(side);
  }
  return out;
}

}  // namespace

Fixture::Fixture(const std::filesystem::path& file)
    : file_path_(file), name_(file.stem().string()), file_(model::read_weights(file)) {
  try {
    config_ = metadata_json(file_, "config");
    tolerances_ = metadata_json(file_, "tolerances");
    shapes_ = metadata_json(file_, "shapes");
  } catch (const nlohmann::json::exception& e) {
    throw Error(Fault::Data, file.string() + " has metadata that is no JSON: " + e.what(),
                "copy the fixture again");
  }
}

std::vector<NamedEntry> Fixture::rows(const std::string& list) const {
  return read_names(file_path_.parent_path() /
                    (name_ + (list.empty() ? "" : "." + list) + ".names.tsv"));
}

std::vector<std::string> Fixture::name_list(const std::string& list) const {
  std::vector<std::string> names;
  for (const NamedEntry& row : read_names(file_path_.parent_path() / (name_ + "." + list + ".tsv")))
    names.push_back(row.name);
  return names;
}

std::vector<std::int64_t> Fixture::shape(const std::string& tensor) const {
  if (shapes_.contains(tensor)) return shapes_.at(tensor).get<std::vector<std::int64_t>>();
  return at(tensor).sizes().vec();
}

bool Fixture::has(const std::string& tensor) const {
  return file_.tensors.count(tensor) != 0 || file_.tensors.count(tensor + "#sub") != 0;
}

const torch::Tensor& Fixture::at(const std::string& tensor) const {
  const auto found = file_.tensors.find(tensor);
  if (found == file_.tensors.end())
    throw Error(Fault::Data, name_ + " stores no tensor " + tensor, "see check.py --list");
  return found->second;
}

const torch::Tensor& Fixture::given(const std::string& tensor) const {
  looked_at_->insert(tensor);
  return at(tensor);
}

void Fixture::expect(const std::string& tensor, const torch::Tensor& value) const {
  judge(tensor, Rule::read(tolerances_, tensor), value, "");
}

void Fixture::expect_differing(const std::string& tensor, const torch::Tensor& value, double limit,
                               const std::string& reason) const {
  Rule rule = Rule::read(tolerances_, tensor);
  rule.tolerance = limit;
  judge(tensor, rule, value, reason);
}

void Fixture::expect_but(const std::string& tensor, const torch::Tensor& value,
                         const std::set<std::size_t>& apart, double limit,
                         const std::string& reason) const {
  const std::vector<double> stored = numbers(at(tensor));
  torch::Tensor others = value.clone(), those = value.clone();  // the rest of each as stored
  for (std::size_t i = 0; i < stored.size(); ++i)
    (apart.count(i) != 0 ? others : those).view(-1)[static_cast<std::int64_t>(i)] = stored[i];
  expect(tensor, others);
  expect_differing(tensor, those, limit, reason);
}

void Fixture::judge(const std::string& tensor, Rule rule, const torch::Tensor& value,
                    const std::string& reason) const {
  looked_at_->insert(tensor);
  if (!has(tensor)) {
    ADD_FAILURE() << name_ << " stores no tensor " << tensor;
    return;
  }
  if (!value.defined()) {
    ADD_FAILURE() << tensor << ": the network gave none";
    return;
  }
  const bool whole = file_.tensors.count(tensor) != 0;
  std::vector<std::int64_t> shape;
  if (whole)
    shape = at(tensor).sizes().vec();
  else if (shapes_.contains(tensor))
    shape = shapes_.at(tensor).get<std::vector<std::int64_t>>();
  if (value.dim() > 1 && !shape.empty()) {
    EXPECT_EQ(without_ones(value.sizes()), without_ones(shape)) << tensor << ": shape";
  }
  const std::vector<double> got = numbers(value);
  if (whole) {
    judge_values(tensor, rule, got, numbers(at(tensor)), reason);
    return;
  }
  const std::vector<double> stats = numbers(at(tensor + "#stats"));
  std::vector<double> kept;
  for (std::size_t i = 0; i < got.size(); i += static_cast<std::size_t>(stats.at(6)))
    kept.push_back(got[i]);
  judge_values(tensor, rule, kept, numbers(at(tensor + "#sub")), reason);
  const double off = stats_deviation(got, stats), limit = std::max(rule.tolerance, 1e-9);
  EXPECT_LE(off, limit) << tensor << ": mean, deviation, norm or extremes of the whole";
  report_line({name_, tensor, "stats", off, limit, reason});
}

void Fixture::judge_values(const std::string& tensor, const Rule& rule,
                           const std::vector<double>& got, const std::vector<double>& want,
                           const std::string& reason) const {
  if (got.size() != want.size()) {
    ADD_FAILURE() << tensor << ": " << got.size() << " elements, expected " << want.size();
    return;
  }
  const Deviation off = deviation(rule, got, want);
  report_line({name_, tensor, rule.name, off.size, rule.tolerance, reason});
  if (off.size <= rule.tolerance) return;
  const auto at = static_cast<std::size_t>(std::max<std::int64_t>(off.worst, 0));
  ADD_FAILURE() << tensor << " (" << rule.name << "): off by " << off.size << ", allowed "
                << rule.tolerance << "; worst at " << at << ": got " << got[at] << ", expected "
                << want[at];
}

std::vector<std::string> Fixture::tensors() const {
  std::set<std::string> names;
  for (const auto& item : file_.tensors) names.insert(base_name(item.first));
  return {names.begin(), names.end()};
}

std::vector<std::string> Fixture::unchecked() const {
  std::vector<std::string> left;
  for (const std::string& name : tensors()) {
    if (!name.starts_with("in.") && looked_at_->count(name) == 0) left.push_back(name);
  }
  return left;
}

}  // namespace homolog::golden
