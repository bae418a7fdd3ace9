// The only file that uses Torch's internal hook interface (the gradient accumulators' post hooks).
#include "train/bucket_reducer.h"

#include <torch/autograd.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <limits>
#include <vector>

#include "model/device_stream.h"
#include "train/fused_update.h"

namespace homolog::train {

struct BucketReducer::State {
  State(GradientArena& a, comm::Communicator& c) : arena(a), communicator(c) {}

  GradientArena& arena;
  comm::Communicator& communicator;
  std::vector<std::shared_ptr<torch::autograd::Node>>
      accumulators;  // kept: Torch holds them weakly
  std::vector<std::uint8_t> touched;
  std::vector<int> missing;           // per bucket, slots without gradient yet
  std::vector<comm::Ticket> tickets;  // of the buckets that left
  torch::Tensor maxima;               // per bucket, on the arena's device
  bool armed = false;
  std::uint64_t bytes = 0;

  void on_gradient(std::size_t slot) {
    touched[slot] = 1;
    if (!armed) return;
    --missing[static_cast<std::size_t>(arena.slots()[slot].bucket)];
    while (tickets.size() < missing.size() && missing[tickets.size()] <= 0) send_next();
  }

  void send_next() {
    torch::NoGradGuard no_grad;
    const std::size_t index = tickets.size();
    const Bucket& bucket = arena.buckets()[index];
    float* data = arena.gradients().data_ptr<float>() + bucket.begin;
    note_maximum(index, bucket, data);
    void* stream = current_stream(arena.device());
    const auto count = static_cast<std::size_t>(bucket.count);
    const bool alone = communicator.rank().size == 1;
    tickets.push_back(
        alone ? 0
              : communicator.start_all_reduce({data, count, comm::Scalar::F32}, comm::Reduce::Sum,
                                              "gradient bucket " + std::to_string(index), stream));
    bytes += count * sizeof(float);
  }

  // Whether this rank's gradient is finite must be known before sums mix it with the others'.
  void note_maximum(std::size_t index, const Bucket& bucket, const float* data) {
    if (arena.device().is_cpu()) {
      maxima.data_ptr<float>()[index] =
          all_finite_cpu(data, bucket.count) ? 0.0f : std::numeric_limits<float>::quiet_NaN();
    } else {
      auto slot = maxima[static_cast<std::int64_t>(index)];
      const auto piece = arena.gradients().narrow(0, bucket.begin, bucket.count);
      slot.copy_(torch::linalg_vector_norm(piece, std::numeric_limits<double>::infinity()));
    }
  }
};

BucketReducer::BucketReducer(GradientArena& arena, comm::Communicator& communicator)
    : state_(std::make_shared<State>(arena, communicator)) {
  State& s = *state_;
  s.touched.resize(arena.slots().size());
  s.missing.resize(arena.buckets().size());
  s.maxima = torch::zeros({static_cast<std::int64_t>(arena.buckets().size())},
                          torch::TensorOptions().dtype(torch::kFloat32).device(arena.device()));
  for (std::size_t i = 0; i < arena.slots().size(); ++i) {
    auto node = torch::autograd::impl::grad_accumulator(arena.slots()[i].parameter);
    std::weak_ptr<State> weak = state_;
    using torch::autograd::variable_list;
    node->add_post_hook(std::make_unique<torch::autograd::utils::LambdaPostHook>(
        [weak, i](const variable_list& outputs, const variable_list&) {
          if (auto state = weak.lock()) state->on_gradient(i);
          return outputs;
        }));
    s.accumulators.push_back(std::move(node));
  }
}

BucketReducer::~BucketReducer() = default;

void BucketReducer::arm(bool first_micro_batch, bool last_micro_batch) {
  State& s = *state_;
  if (first_micro_batch) std::fill(s.touched.begin(), s.touched.end(), 0);
  s.armed = last_micro_batch;
  s.tickets.clear();
  for (std::size_t b = 0; b < s.missing.size(); ++b) s.missing[b] = s.arena.buckets()[b].slots;
}

void BucketReducer::finish() {
  State& s = *state_;
  while (s.tickets.size() < s.missing.size()) s.send_next();
  s.armed = false;
  if (s.communicator.rank().size > 1) {
    void* stream = current_stream(s.arena.device());
    for (const comm::Ticket ticket : s.tickets) s.communicator.wait(ticket, stream);
  }
}

void BucketReducer::touch(std::span<const std::uint8_t> slots) {
  for (std::size_t i = 0; i < slots.size(); ++i) state_->touched[i] |= slots[i];
}

std::span<const std::uint8_t> BucketReducer::touched() const noexcept { return state_->touched; }
torch::Tensor BucketReducer::local_maximum() const { return state_->maxima.max(); }
std::uint64_t BucketReducer::bytes_sent() const noexcept { return state_->bytes; }

void* current_stream(torch::Device device) {
  return device.is_cuda() ? model::stream_of(device) : nullptr;
}

}  // namespace homolog::train
