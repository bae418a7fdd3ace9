// See operator_watch.h. An operator that calls others is charged nothing itself, unless it is one
// whose arithmetic is known: then what it calls is charged nothing.
#include "census/operator_watch.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <optional>

#include "census/operator_cost.h"
#include "model/recompute.h"

namespace homolog::census {

struct OperatorCall : at::ObserverContext {
  std::optional<OperatorCost> cost;
  bool within_known = false;  // an outer operator answers for this one
  bool made_work = false;     // an inner one was charged
  bool learns = false;  // within one of ours, whose forward runs without autograd's bookkeeping
  double read = 0;      // B
  std::vector<const c10::StorageImpl*> inputs;
};

namespace {

thread_local OperatorWatch* watch_here = nullptr;

// They hand out memory and write none of it.
constexpr std::array<std::string_view, 6> kAllocations = {
    "aten::empty",     "aten::empty_like",        "aten::empty_strided",
    "aten::new_empty", "aten::new_empty_strided", "aten::resize_"};
// They write their first argument without reading it.
constexpr std::array<std::string_view, 7> kOverwriting = {
    "aten::copy_",    "aten::fill_",   "aten::zero_",  "aten::bernoulli_",
    "aten::uniform_", "aten::normal_", "aten::random_"};

bool is_one_of(const auto& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void each_tensor(const c10::IValue& value, const auto& see) {
  if (value.isTensor()) {
    see(value.toTensor());
  } else if (value.isTensorList()) {
    for (const at::Tensor& t : value.toTensorVector()) see(t);
  } else if (value.isOptionalTensorList()) {
    for (const std::optional<at::Tensor>& t : value.toOptionalTensorVector())
      if (t) see(*t);
  }
}

}  // namespace

OperatorWatch::OperatorWatch(c10::Device device) : device_(device) {
  watch_here = this;
  handle_ = at::addThreadLocalCallback(at::RecordFunctionCallback(&started, &ended)
                                           .needsInputs(true)
                                           .needsOutputs(true)
                                           .scopes({at::RecordScope::FUNCTION}));
}

OperatorWatch::~OperatorWatch() {
  at::removeCallback(handle_);
  watch_here = nullptr;
}

void OperatorWatch::ignore(const at::Tensor& t) {
  if (!t.defined() || !t.has_storage()) return;
  ignored_.push_back(t);
  known_[t.storage().unsafeGetStorageImpl()] = true;
}

plan::Pass OperatorWatch::pass(const OperatorCall& call) const {
  if (backward_) return plan::Pass::Backward;
  return at::GradMode::is_enabled() || call.learns ? plan::Pass::Student : plan::Pass::Target;
}

double OperatorWatch::live_bytes() {
  double sum = 0;
  for (auto it = results_.begin(); it != results_.end();) {
    if (it->second.storage.expired()) {
      it = results_.erase(it);
    } else {
      sum += (it++)->second.bytes;
    }
  }
  return sum;
}

void OperatorWatch::read(const at::Tensor& t, OperatorCall& own) const {
  if (!t.defined() || !t.has_storage() || t.device().type() != device_.type()) return;
  own.inputs.push_back(t.storage().unsafeGetStorageImpl());
  own.read += bytes_of(t);
}

void OperatorWatch::start(const at::RecordFunction& call, OperatorCall& own) {
  const std::string_view name = call.name();
  own.learns = name == model::kRecomputedBlock || (!open_.empty() && open_.back()->learns);
  own.within_known =
      !open_.empty() && (open_.back()->cost.has_value() || open_.back()->within_known);
  open_.push_back(&own);
  const bool overwrites = is_one_of(kOverwriting, name);
  bool first = true;
  for (const c10::IValue& input : call.inputs()) {
    each_tensor(input, [&](const at::Tensor& t) {
      read(t, own);
      if (name.starts_with("homolog::")) own.learns |= t.defined() && t.requires_grad();
      if (first && overwrites) own.read = 0;
      first = false;
    });
  }
  // Only on this device: a host's small sums are none of the step's work.
  if (!own.within_known && !own.inputs.empty()) own.cost = cost_of(name, call.inputs());
}

void OperatorWatch::note_result(const at::Tensor& t, const OperatorCall& own, double& bytes,
                                bool& fresh) {
  if (!t.defined() || !t.has_storage() || t.device().type() != device_.type()) return;
  c10::StorageImpl* storage = t.storage().unsafeGetStorageImpl();
  bytes += bytes_of(t);
  if (std::find(own.inputs.begin(), own.inputs.end(), storage) == own.inputs.end()) fresh = true;
  if (known_.contains(storage) || results_.contains(storage)) return;
  const auto shared = c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(storage);
  results_.emplace(storage, Result{c10::weak_intrusive_ptr<c10::StorageImpl>(shared),
                                   static_cast<double>(storage->nbytes())});
}

void OperatorWatch::end(const at::RecordFunction& call, OperatorCall& own) {
  open_.pop_back();
  const std::string_view name = call.name();
  double written = 0;
  bool fresh = false;
  for (const c10::IValue& output : call.outputs())
    each_tensor(output, [&](const at::Tensor& t) { note_result(t, own, written, fresh); });
  peak_ = std::max(peak_, live_bytes());
  if (own.within_known) return;
  if (own.cost && own.cost->output_bytes >= 0) written = own.cost->output_bytes;
  const bool in_place = name.ends_with('_') || name.find(".out") != std::string_view::npos;
  const bool works = own.cost.has_value() ||
                     (!own.made_work && (fresh || in_place) && !is_one_of(kAllocations, name));
  const double bytes = own.read + written;
  if (works && bytes > 0) {
    const double flops = own.cost ? own.cost->flops : 0;
    work_.push_back({std::string(name), pass(own), flops, bytes, /*matrix=*/flops > 0});
  }
  if (!open_.empty()) open_.back()->made_work |= own.made_work || (works && bytes > 0);
}

std::unique_ptr<at::ObserverContext> OperatorWatch::started(const at::RecordFunction& call) {
  auto own = std::make_unique<OperatorCall>();
  if (watch_here != nullptr) watch_here->start(call, *own);
  return own;
}

void OperatorWatch::ended(const at::RecordFunction& call, at::ObserverContext* context) {
  if (watch_here != nullptr) watch_here->end(call, static_cast<OperatorCall&>(*context));
}

}  // namespace homolog::census
