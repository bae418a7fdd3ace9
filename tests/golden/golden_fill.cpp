// The fill formula and the lists that say which entry of a network gets which stream.
#include <gtest/gtest.h>
#include <torch/utils.h>

#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include "base/error.h"
#include "golden_fixture.h"

namespace homolog::golden {
namespace {

std::vector<std::string> split(const std::string& text, char by) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, by);) out.push_back(part);
  return out;
}

NamedEntry read_row(const std::string& line) {
  const std::vector<std::string> cells = split(line, '\t');
  NamedEntry row;
  row.k = std::stoull(cells.at(0));
  row.name = cells.at(1);
  if (cells.at(2) != "scalar") {
    for (const std::string& side : split(cells.at(2), 'x')) row.shape.push_back(std::stoll(side));
  }
  if (cells.size() > 3) row.kind = cells[3];
  if (cells.size() > 4 && !cells[4].empty()) row.offset = std::stod(cells[4]);
  if (cells.size() > 5 && !cells[5].empty()) row.amplitude = std::stod(cells[5]);
  if (cells.size() > 6) row.note = cells[6];
  return row;
}

}  // namespace

double fill_unit(std::uint64_t k, std::uint64_t i) {
  std::uint64_t x = ((k + 1) << 32) + i;
  x *= 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1p-53 * 2 - 1;
}

torch::Tensor fill(std::uint64_t k, at::IntArrayRef shape, double offset, double amplitude) {
  torch::Tensor out = torch::empty(shape, torch::kFloat);
  auto* data = out.data_ptr<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    data[i] = static_cast<float>(offset + amplitude * fill_unit(k, static_cast<std::uint64_t>(i)));
  }
  return out;
}

torch::Tensor input(std::uint64_t j, at::IntArrayRef shape, double offset, double amplitude) {
  return fill(1'000'000 + j, shape, offset, amplitude);
}

torch::Tensor probe_loss(const std::vector<torch::Tensor>& outputs) {
  torch::Tensor loss = torch::zeros({}, torch::kDouble);
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    const torch::Tensor r = fill(2'000'000 + j, outputs[j].sizes());
    loss = loss +
           (outputs[j].to(torch::kDouble) * r).sum() / std::sqrt(static_cast<double>(r.numel()));
  }
  return loss;
}

std::vector<NamedEntry> read_names(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line))  // header
    throw Error(Fault::Data, "the fixture's list of names is missing: " + file.string(),
                "copy it beside the fixture");
  std::vector<NamedEntry> rows;
  for (std::size_t number = 2; std::getline(in, line); ++number) {
    try {
      if (!line.empty()) rows.push_back(read_row(line));
    } catch (const std::logic_error&) {  // a cell that is missing or no number
      throw Error(Fault::Data,
                  file.string() + " line " + std::to_string(number) + " is no entry: " + line,
                  "copy the list again");
    }
  }
  return rows;
}

std::vector<std::string> fill_module(torch::nn::Module& module, const std::vector<NamedEntry>& rows,
                                     const Rename& rename) {
  const torch::NoGradGuard no_grad;
  auto parameters = module.named_parameters();
  auto buffers = module.named_buffers();
  std::set<std::string> filled;
  std::vector<std::string> lacking;
  for (const NamedEntry& row : rows) {
    const std::string name = rename(row.name);
    torch::Tensor* entry = parameters.find(name);
    if (entry == nullptr) entry = buffers.find(name);
    if (row.kind == "int") continue;
    if (entry == nullptr) {
      lacking.push_back(row.name);
      continue;
    }
    filled.insert(name);
    EXPECT_EQ(entry->sizes(), at::IntArrayRef(row.shape)) << name;
    if (entry->sizes() == at::IntArrayRef(row.shape))
      entry->copy_(fill(row.k, row.shape, row.offset, row.amplitude));
  }
  for (const auto& item : parameters) {
    EXPECT_TRUE(item.key().starts_with("pretrain_decoder.") || filled.count(item.key()) != 0)
        << "not filled: " << item.key();
  }
  return lacking;
}

torch::Tensor gradient_norms(const torch::nn::Module& module, const std::vector<NamedEntry>& rows,
                             const Rename& rename) {
  const auto parameters = module.named_parameters();
  std::vector<double> norms;
  for (const NamedEntry& row : rows) {
    if (row.is_attribute()) continue;
    const torch::Tensor* parameter = parameters.find(rename(row.name));
    const bool has = parameter != nullptr && parameter->grad().defined();
    norms.push_back(has ? parameter->grad().to(torch::kDouble).norm().item<double>() : -1);
  }
  return torch::tensor(norms, torch::kDouble);
}

}  // namespace homolog::golden
