// Number formats of a pass: networks may compute in bfloat16 on copies of their float32 weights
// (autocast), while whatever a softmax, a norm of unit vectors or a loss reads is float32.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <string>

namespace homolog::model {

enum class Precision { Float32, Bf16 };

// "float32" or "bf16"; throws std::logic_error otherwise (options check their choices).
Precision precision_named(const std::string& name);
// Throws Fault::Usage, naming the device's type, where bf16 is asked of another than CPU or CUDA.
void require_precision(Precision precision, const at::Device& device);

// What passes on devices of this type compute in here and now: bf16 within an Autocast of it.
Precision precision_here(at::DeviceType device);

// While it lives, passes on devices of this type compute in `precision`. Its casts of weights are
// kept for its own passes alone and dropped at its end, so that weights updated afterwards, or a
// pass with gradients after one without, never meet a stale copy. Does nothing for Float32.
class Autocast {
 public:
  Autocast(Precision precision, at::DeviceType device);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  at::DeviceType device_;
  bool acts_ = false, enabled_before_ = false;
  at::ScalarType type_before_ = at::kFloat;
};

// Within an Autocast: operators work in the formats of their arguments again.
class WithoutAutocast {
 public:
  WithoutAutocast();

 private:
  c10::impl::ExcludeDispatchKeyGuard guard_;
};

// bfloat16 (and float16) as float32; other formats as they are.
at::Tensor wide(const at::Tensor& x);

}  // namespace homolog::model
