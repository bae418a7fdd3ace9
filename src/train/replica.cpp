#include "train/replica.h"

#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/hash.h"
#include "model/parameter_names.h"
#include "train/kept_buffers.h"

namespace homolog::train {
namespace {

void add_module(std::map<std::string, torch::Tensor>& out, torch::nn::Module& module) {
  for (const auto& [name, tensor] : model::named_tensors(module))
    out.emplace(name, tensor.detach());
}

std::string shape(const torch::Tensor& t) {
  std::ostringstream text;
  text << t.sizes() << " " << torch::toString(t.scalar_type());
  return text.str();
}

std::map<std::string, std::string> settings(const std::string& lines) {
  std::map<std::string, std::string> values;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    const auto equals = line.find('=');
    if (equals != std::string::npos) values[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return values;
}

// "1, 5, 9 and 13 more"
std::string listed(const std::vector<std::size_t>& ranks) {
  constexpr std::size_t kMost = 16;
  std::string text;
  for (std::size_t i = 0; i < std::min(kMost, ranks.size()); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(ranks[i]);
  if (ranks.size() > kMost) text += " and " + std::to_string(ranks.size() - kMost) + " more";
  return text;
}

// What a rank was started with that rank 0 was not: "another optimizer.clip: '2', rank 0 has '3'".
std::string differences(const std::string& own, const std::string& of_first) {
  auto other = settings(own);
  const auto first = settings(of_first);
  for (const auto& [key, value] : first) other.try_emplace(key, "(absent)");
  std::string text;
  for (const auto& [key, value] : other) {
    const auto it = first.find(key);
    const std::string expected = it == first.end() ? "(absent)" : it->second;
    if (value != expected)
      text += (text.empty() ? "another " : "; another ") + key + ": '" + value + "', rank 0 has '" +
              expected + "'";
  }
  return text;
}

}  // namespace

TensorFiles Replica::tensors() {
  TensorFiles files;
  add_module(files["model"], objective_.online());
  if (auto* target = objective_.target()) add_module(files["target"], *target);
  if (const auto state = objective_.state(); !state.empty()) {
    for (const auto& [name, tensor] : state) files["objective"].emplace(name, tensor.detach());
  }
  auto& moments = files["optimizer"];
  const auto slots = arena_.slots();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    moments.emplace("moment1/" + slots[i].name, arena_.view(arena_.moment1(), slots[i]));
    if (arena_.moment2().defined())
      moments.emplace("moment2/" + slots[i].name, arena_.view(arena_.moment2(), slots[i]));
    moments.emplace("updates/" + slots[i].name,
                    torch::from_blob(&optimizer_.update_counts()[i], {1}, torch::kInt64));
  }
  return files;
}

void Replica::load(const std::filesystem::path& checkpoint) {
  torch::NoGradGuard no_grad;
  TensorFiles live = tensors(), stored;
  std::vector<std::string> problems;
  for (const auto& [stem, tensors] : live) {
    stored[stem] = read_tensors(checkpoint, stem);
    for (const auto& [name, tensor] : tensors) {
      const auto it = stored[stem].find(name);
      if (it == stored[stem].end())
        problems.push_back(stem + " lacks " + name);
      else if (it->second.sizes() != tensor.sizes() ||
               it->second.scalar_type() != tensor.scalar_type()) {
        problems.push_back(stem + "'s " + name + " is " + shape(it->second) + ", not " +
                           shape(tensor));
      }
    }
    for (const auto& [name, tensor] : stored[stem]) {
      if (!tensors.contains(name))
        problems.push_back(stem + " has " + name + ", which this configuration lacks");
    }
  }
  if (!problems.empty()) {
    std::string text = "checkpoint " + checkpoint.string() + " does not fit this configuration:";
    for (std::size_t i = 0; i < std::min<std::size_t>(problems.size(), 5); ++i)
      text += "\n    " + problems[i];
    if (problems.size() > 5) text += "\n    and " + std::to_string(problems.size() - 5) + " more";
    throw Error(Fault::Usage, text,
                "resume with the configuration in the run's config.ini, or start another --run");
  }
  for (auto& [stem, tensors] : live) {
    for (auto& [name, tensor] : tensors) tensor.copy_(stored[stem].at(name));
  }
}

void Replica::broadcast(comm::Communicator& communicator) {
  if (communicator.rank().size == 1) return;
  torch::NoGradGuard no_grad;
  for (auto& [stem, tensors] : tensors()) {
    for (auto& [name, tensor] : tensors) {
      torch::Tensor host = tensor.to(torch::kCPU).contiguous();
      communicator.broadcast(
          {host.data_ptr(), static_cast<std::size_t>(host.nbytes()), comm::Scalar::U8}, 0);
      torch::Tensor(tensor).copy_(host);
    }
  }
}

std::uint64_t Replica::fingerprint() {
  Xxh3 hash;
  const auto add = [&](const torch::Tensor& tensor) {
    const torch::Tensor host = tensor.detach().to(torch::kCPU).contiguous();
    hash.update(host.data_ptr(), static_cast<std::size_t>(host.nbytes()));
  };
  add(arena_.parameters());
  add(arena_.target());
  for (const auto& [name, tensor] : objective_.state()) add(tensor);
  for (const auto& [name, buffer] : moving_buffers(objective_.online())) add(buffer);
  if (auto* target = objective_.target()) {
    for (const auto& [name, buffer] : moving_buffers(*target)) add(buffer);
  }
  return hash.digest();
}

void require_equal_replicas(comm::Communicator& communicator, std::uint64_t fingerprint,
                            std::int64_t step) {
  const auto all = communicator.all_gather(hex64(fingerprint));
  std::map<std::string, int> votes;
  for (const auto& one : all) ++votes[one];
  if (votes.size() <= 1) return;
  // Most common; with a tie the one of the lowest rank.
  const auto usual = *std::max_element(
      all.begin(), all.end(), [&](const auto& a, const auto& b) { return votes[a] < votes[b]; });
  std::string odd;
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (all[r] != usual) odd += (odd.empty() ? "" : ", ") + std::to_string(r) + " (" + all[r] + ")";
  }
  throw Error(Fault::Replicas,
              "after step " + std::to_string(step) + " the weights of rank " + odd +
                  " differ from those of the other ranks (" + usual + ")",
              "suspect that machine's memory or GPU; resume from the last checkpoint, which rank 0 "
              "wrote, without it");
}

void require_equal_settings(comm::Communicator& communicator, const std::string& lines) {
  // Hashes first: the texts of all ranks on all ranks grow with the square of the world.
  const auto hashes = communicator.all_gather(hex64(xxh3_64({lines.data(), lines.size()})));
  if (std::all_of(hashes.begin(), hashes.end(), [&](auto& h) { return h == hashes.front(); }))
    return;
  const bool odd = hashes[static_cast<std::size_t>(communicator.rank().index)] != hashes.front();
  const auto all = communicator.all_gather(odd || communicator.rank().index == 0 ? lines : "");
  std::map<std::string, std::vector<std::size_t>> ranks_by_difference;
  for (std::size_t r = 1; r < all.size(); ++r) {
    if (hashes[r] != hashes.front())
      ranks_by_difference[differences(all[r], all.front())].push_back(r);
  }
  std::string text;
  for (const auto& [difference, ranks] : ranks_by_difference) {
    text += (text.empty() ? "" : "\n    ") + std::string(ranks.size() == 1 ? "rank " : "ranks ") +
            listed(ranks) + (ranks.size() == 1 ? " was" : " were") + " started with " + difference;
  }
  throw Error(Fault::Usage, text,
              "start every worker with the same program, configuration and store (homolog launch "
              "does)");
}

}  // namespace homolog::train
