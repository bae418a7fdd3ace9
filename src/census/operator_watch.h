// Every operator that this thread runs while the watch lives: its arithmetic, its traffic, and how
// much memory its results hold.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>
#include <c10/core/Device.h>
#include <c10/core/StorageImpl.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "cluster/plan/step_work.h"

namespace homolog::census {

struct OperatorCall;

class OperatorWatch {
 public:
  // Looks at tensors of this device alone. One watch a thread.
  explicit OperatorWatch(c10::Device device);
  ~OperatorWatch();
  OperatorWatch(const OperatorWatch&) = delete;
  OperatorWatch& operator=(const OperatorWatch&) = delete;

  // Memory that is there anyhow (weights, inputs): counted nowhere.
  void ignore(const at::Tensor& t);
  // What follows is the backward pass. Before, passes without gradients are the target's.
  void begin_backward() { backward_ = true; }

  double live_bytes();  // of results that still exist
  double peak_bytes() const { return peak_; }
  std::vector<plan::OperatorWork> take() { return std::move(work_); }

 private:
  static std::unique_ptr<at::ObserverContext> started(const at::RecordFunction& call);
  static void ended(const at::RecordFunction& call, at::ObserverContext* context);
  void start(const at::RecordFunction& call, OperatorCall& own);
  void end(const at::RecordFunction& call, OperatorCall& own);
  void read(const at::Tensor& t, OperatorCall& own) const;
  void note_result(const at::Tensor& t, const OperatorCall& own, double& bytes, bool& fresh);
  plan::Pass pass(const OperatorCall& call) const;

  struct Result {
    c10::weak_intrusive_ptr<c10::StorageImpl> storage;
    double bytes = 0;
  };
  c10::Device device_;
  bool backward_ = false;
  double peak_ = 0;
  std::vector<OperatorCall*> open_;  // innermost last
  std::unordered_map<const c10::StorageImpl*, Result> results_;
  std::vector<at::Tensor> ignored_;
  std::unordered_map<const c10::StorageImpl*, bool> known_;
  std::vector<plan::OperatorWork> work_;
  at::CallbackHandle handle_;
};

}  // namespace homolog::census
