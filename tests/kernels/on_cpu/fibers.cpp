// Fibers of one block at a time: see cuda_runtime.h beside it.
#include <ucontext.h>

#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "cuda_runtime.h"

namespace kernels_on_cpu {
namespace {

constexpr std::size_t kStack = 256 << 10;
constexpr int kWarp = 32;

enum class State { Ready, AtBlock, AtWarp, Done };

struct Fiber {
  ucontext_t context{};
  State state = State::Ready;
  const unsigned char* mine = nullptr;
  unsigned char* all = nullptr;
  std::size_t bytes = 0;
};

class Block {
 public:
  Block(const std::function<void()>& kernel, Schedule schedule)
      : kernel_(kernel), schedule_(schedule) {}

  void run(dim3 block, dim3 blocks, dim3 threads);
  void wait(State state);
  Fiber& current() { return *current_; }

 private:
  static void enter();
  std::vector<std::size_t> in_order(std::size_t first, std::size_t count) const;
  void advance(
      std::size_t first);  // a warp, until all its threads wait for the block or have ended
  bool release_warp(const std::vector<std::size_t>& threads);
  bool release_block();

  const std::function<void()>& kernel_;
  const Schedule schedule_;
  std::vector<Fiber> fibers_;
  std::vector<std::unique_ptr<unsigned char[]>> stacks_;
  ucontext_t host_{};
  Fiber* current_ = nullptr;
};

Block* running = nullptr;
Schedule chosen = Schedule::Forwards;

void Block::enter() {
  Block& block = *running;
  block.kernel_();
  block.current_->state = State::Done;
  swapcontext(&block.current_->context, &block.host_);
}

void Block::run(dim3 block, dim3 blocks, dim3 threads) {
  const std::size_t count = std::size_t{threads.x} * threads.y * threads.z;
  if (threads.y * threads.z != 1) throw std::logic_error("blocks of one dimension alone");
  blockIdx = block;
  gridDim = blocks;
  blockDim = threads;
  fibers_.assign(count, {});
  while (stacks_.size() < count) stacks_.emplace_back(new unsigned char[kStack]);
  for (std::size_t i = 0; i < count; ++i) {
    Fiber& fiber = fibers_[i];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = stacks_[i].get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, &Block::enter, 0);
  }
  do {
    for (const std::size_t warp : in_order(0, (count + kWarp - 1) / kWarp)) advance(warp * kWarp);
  } while (release_block());
}

std::vector<std::size_t> Block::in_order(std::size_t first, std::size_t count) const {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), first);
  if (schedule_ == Schedule::Backwards) std::reverse(order.begin(), order.end());
  return order;
}

void Block::advance(std::size_t first) {
  const std::vector<std::size_t> order =
      in_order(first, std::min<std::size_t>(kWarp, fibers_.size() - first));
  do {
    for (const std::size_t thread : order) {
      current_ = &fibers_[thread];
      if (current_->state != State::Ready) continue;
      threadIdx = dim3(static_cast<unsigned>(thread), 0, 0);
      swapcontext(&host_, &current_->context);
    }
  } while (release_warp(order));
}

// Threads that have ended do not keep others waiting, as on a GPU.
bool Block::release_block() {
  bool any = false;
  for (Fiber& fiber : fibers_) {
    if (fiber.state != State::AtBlock) continue;
    fiber.state = State::Ready;
    any = true;
  }
  return any;
}

// After all have run as far as they can.
bool Block::release_warp(const std::vector<std::size_t>& threads) {
  const auto waiting = std::count_if(threads.begin(), threads.end(), [&](std::size_t thread) {
    return fibers_[thread].state == State::AtWarp;
  });
  if (waiting == 0) return false;
  if (waiting != kWarp) throw std::logic_error("a warp meets without some of its threads");
  const std::size_t first = *std::min_element(threads.begin(), threads.end());
  for (std::size_t to = first; to < first + kWarp; ++to) {
    const Fiber& fiber = fibers_[to];
    for (std::size_t from = 0; from < kWarp; ++from) {
      const Fiber& other = fibers_[first + from];
      if (other.bytes != fiber.bytes) throw std::logic_error("a warp meets in two places");
      std::memcpy(fiber.all + from * fiber.bytes, other.mine, fiber.bytes);
    }
  }
  for (const std::size_t thread : threads) fibers_[thread].state = State::Ready;
  return true;
}

void Block::wait(State state) {
  current_->state = state;
  swapcontext(&current_->context, &host_);
}

}  // namespace

void set_schedule(Schedule schedule) { chosen = schedule; }
void wait_for_block() { running->wait(State::AtBlock); }

void meet_warp(const void* mine, void* all, std::size_t bytes) {
  Fiber& fiber = running->current();
  fiber.mine = static_cast<const unsigned char*>(mine);
  fiber.all = static_cast<unsigned char*>(all);
  fiber.bytes = bytes;
  running->wait(State::AtWarp);
}

void run(dim3 blocks, dim3 threads, const std::function<void()>& kernel) {
  Block block(kernel, chosen);
  running = &block;
  for (unsigned z = 0; z < blocks.z; ++z)
    for (unsigned y = 0; y < blocks.y; ++y)
      for (unsigned x = 0; x < blocks.x; ++x) block.run(dim3(x, y, z), blocks, threads);
  running = nullptr;
}

}  // namespace kernels_on_cpu
