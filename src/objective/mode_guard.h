// Sets a module's mode for one scope, so that validation never leaves a network in evaluation mode;
// for every objective that validates.
#pragma once

#include <torch/nn/module.h>

namespace homolog::objective {

// Training or evaluation mode for one call, then as before (D19, D20).
class ModeGuard {
 public:
  ModeGuard(torch::nn::Module& module, bool training)
      : module_(module), before_(module.is_training()) {
    module_.train(training);
  }
  ~ModeGuard() { module_.train(before_); }
  ModeGuard(const ModeGuard&) = delete;
  ModeGuard& operator=(const ModeGuard&) = delete;

 private:
  torch::nn::Module& module_;
  bool before_;
};

}  // namespace homolog::objective
