// Every trained parameter, its gradient, its moments and its EMA copy in flat float32 buffers; the
// modules' tensors become views. Reduce, clip, update and zero then act on a few long arrays.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "objective/objective.h"

namespace homolog::train {

// One trained tensor. Positions in elements.
struct Slot {
  std::string name;
  std::int64_t begin = 0, count = 0;
  std::int64_t target_begin = -1;  // in target(); -1: no EMA copy
  int bucket = 0;
  objective::ParameterRule rule;
  torch::Tensor parameter;  // the module's own, now a view of parameters()
};

// A contiguous piece of gradients() that is all-reduced in one go.
struct Bucket {
  std::int64_t begin = 0, count = 0;
  int first_slot = 0, slots = 0;
};

class GradientArena {
 public:
  // Order in memory: decayed without EMA copy, decayed with, undecayed with, undecayed without; so
  // decayed, undecayed and copied parameters are each one range. Within a range the last registered
  // tensor comes first, because backward finishes it first. Slots start at multiples of 64 bytes.
  // Parameters whose rule says untrained get requires_grad = false and stay outside.
  // `moments`: 2 for AdamW, 1 for SGD. REQUIRES: modules already on their device, float32.
  GradientArena(objective::Objective& objective, std::int64_t bucket_bytes, int moments);

  std::span<const Slot> slots() const noexcept { return slots_; }
  std::span<const Bucket> buckets() const noexcept { return buckets_; }
  torch::Tensor& parameters() noexcept { return parameters_; }
  torch::Tensor& gradients() noexcept { return gradients_; }
  torch::Tensor& moment1() noexcept { return moment1_; }
  torch::Tensor& moment2() noexcept { return moment2_; }  // undefined with one moment
  torch::Tensor& target() noexcept { return target_; }    // empty without a target network
  torch::Device device() const { return parameters_.device(); }
  std::int64_t size() const noexcept { return parameters_.numel(); }
  std::int64_t decayed_size() const noexcept { return decayed_; }  // [0, decayed) is decayed
  // View of one slot within a flat buffer laid out like parameters().
  torch::Tensor view(const torch::Tensor& flat, const Slot& slot) const;
  void zero_gradients();

 private:
  void lay_out(std::int64_t bucket_bytes);
  void bind(objective::Objective& objective, int moments);
  std::vector<Slot> slots_;
  std::vector<Bucket> buckets_;
  torch::Tensor parameters_, gradients_, moment1_, moment2_, target_;
  std::int64_t decayed_ = 0, total_ = 0, target_total_ = 0;
};

}  // namespace homolog::train
