// Which tensors any operator of this thread was given while it lives: proof that a part of a
// network was not run, whatever its code looks like.
#pragma once

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/record_function.h>

#include <memory>
#include <set>

namespace homolog {

class OperatorsWatched {
 public:
  OperatorsWatched()
      : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(&look).needsInputs(true))) {
    seen().clear();
  }
  ~OperatorsWatched() { at::removeCallback(handle_); }
  OperatorsWatched(const OperatorsWatched&) = delete;
  OperatorsWatched& operator=(const OperatorsWatched&) = delete;

  bool saw(const at::Tensor& t) const { return seen().contains(t.storage().data()); }
  std::size_t tensors() const { return seen().size(); }

 private:
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
      if (input.isTensorList())
        for (const at::Tensor& t : input.toTensorVector()) note(t);
    }
    return nullptr;
  }
  at::CallbackHandle handle_;
};

}  // namespace homolog
