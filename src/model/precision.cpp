// See precision.h. The one file that knows the library's autocast interface.
#include "model/precision.h"

#include <ATen/autocast_mode.h>

#include <stdexcept>

#include "base/error.h"

namespace homolog::model {
namespace {

constexpr c10::DispatchKeySet kAutocastKeys{c10::DispatchKey::AutocastCPU,
                                            c10::DispatchKey::AutocastCUDA};

}  // namespace

Precision precision_named(const std::string& name) {
  if (name == "float32") return Precision::Float32;
  if (name == "bf16") return Precision::Bf16;
  throw std::logic_error("no precision is named " + name);
}

void require_precision(Precision precision, const at::Device& device) {
  if (precision == Precision::Float32 || device.is_cpu() || device.is_cuda()) return;
  throw Error(Fault::Usage,
              "cluster.precision = bf16 is not offered on devices of type " +
                  c10::DeviceTypeName(device.type(), /*lower_case=*/true),
              "set cluster.precision = float32, or train on cpu or cuda");
}

Precision precision_here(at::DeviceType device) {
  if (device != at::kCPU && device != at::kCUDA) return Precision::Float32;
  return at::autocast::is_autocast_enabled(device) ? Precision::Bf16 : Precision::Float32;
}

Autocast::Autocast(Precision precision, at::DeviceType device)
    : device_(device), acts_(precision == Precision::Bf16) {
  if (!acts_) return;
  require_precision(precision, device);
  enabled_before_ = at::autocast::is_autocast_enabled(device_);
  type_before_ = at::autocast::get_autocast_dtype(device_);
  at::autocast::clear_cache();  // an outer scope's casts, made perhaps without gradients
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!acts_) return;
  at::autocast::decrement_nesting();
  at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, enabled_before_);
  at::autocast::set_autocast_dtype(device_, type_before_);
}

WithoutAutocast::WithoutAutocast() : guard_(kAutocastKeys) {}

at::Tensor wide(const at::Tensor& x) {
  const bool narrow = x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf;
  return narrow ? x.to(at::kFloat) : x;
}

}  // namespace homolog::model
