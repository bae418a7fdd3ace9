// Shapes of results that LibTorch's C++ side does not know on the meta device (Python's torch
// brings its own): without them no convolution could be planned.
#pragma once

#include <memory>

namespace homolog::census {

// While it lives, the operators below give tensors of the right shape on the meta device. Attention
// is one operator there, as where it is fused, unless its bias learns. At most one at a time.
class MetaKernels {
 public:
  MetaKernels();
  ~MetaKernels();
  MetaKernels(const MetaKernels&) = delete;
  MetaKernels& operator=(const MetaKernels&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace homolog::census
