// Arithmetic of the operators that have much of it.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <optional>
#include <string_view>

namespace homolog::census {

struct OperatorCost {
  double flops = 0;          // a multiply-add is 2
  double output_bytes = -1;  // where the record does not tell its outputs; -1: it does
};

// Of a convolution, a matrix product, attention or a norm of ours, forward or backward; nothing for
// the others,
// which are bound by what they read and write. `inputs` as the operator was called.
std::optional<OperatorCost> cost_of(std::string_view name, c10::ArrayRef<const c10::IValue> inputs);

// Bytes of a tensor's elements, once where it repeats memory (expanded).
double bytes_of(const at::Tensor& t);

}  // namespace homolog::census
