// Which tensors any operator of this thread was given while it lives, and in which formats: proof
// that a part of a network was not run, or what it computed in, whatever its code looks like.
#pragma once

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/record_function.h>

#include <memory>
#include <set>
#include <string>
#include <utility>

namespace homolog {

class OperatorsWatched {
 public:
  OperatorsWatched()
      : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(&look).needsInputs(true))) {
    seen().clear();
    formats().clear();
  }
  ~OperatorsWatched() { at::removeCallback(handle_); }
  OperatorsWatched(const OperatorsWatched&) = delete;
  OperatorsWatched& operator=(const OperatorsWatched&) = delete;

  bool saw(const at::Tensor& t) const { return seen().contains(t.storage().data()); }
  std::size_t tensors() const { return seen().size(); }
  // Whether an operator whose name contains `part` was given a tensor of this type.
  bool gave(const std::string& part, at::ScalarType type) const {
    for (const auto& [name, had] : formats()) {
      if (had == type && name.find(part) != std::string::npos) return true;
    }
    return false;
  }

 private:
  static std::set<std::pair<std::string, at::ScalarType>>& formats() {
    static thread_local std::set<std::pair<std::string, at::ScalarType>> names;
    return names;
  }
  static std::set<const void*>& seen() {
    static thread_local std::set<const void*> storages;
    return storages;
  }
  static void note(const at::Tensor& t) {
    if (t.defined() && t.has_storage()) seen().insert(t.storage().data());
  }
  static std::unique_ptr<at::ObserverContext> look(const at::RecordFunction& call) {
    for (const c10::IValue& input : call.inputs()) {
      if (input.isTensor()) note(input.toTensor());
      if (input.isTensor() && input.toTensor().defined())
        formats().emplace(call.name(), input.toTensor().scalar_type());
      if (input.isTensorList())
        for (const at::Tensor& t : input.toTensorVector()) note(t);
    }
    return nullptr;
  }
  at::CallbackHandle handle_;
};

}  // namespace homolog
