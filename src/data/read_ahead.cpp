// A map of places under one mutex; nothing is read under it.
#include "data/read_ahead.h"

#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace homolog::data {

struct ReadAhead::State {
  enum class Phase { Waits, Runs, Over };
  struct Expected {
    std::int64_t index = 0;
    Phase phase = Phase::Waits;
    std::unique_ptr<PackedPair> pair;  // when it is over: nullptr where reading failed
  };

  const store::PairStore& store;
  std::mutex mutex;
  std::condition_variable work, over;
  std::map<std::uint64_t, Expected> expected;          // by place
  std::vector<std::unique_ptr<PackedPair>> free_ones;  // memory of pairs that were decoded
  bool stop = false;
  std::vector<std::thread> threads;

  explicit State(const store::PairStore& s) : store(s) {}

  auto next_waiting() {
    auto it = expected.begin();
    while (it != expected.end() && it->second.phase != Phase::Waits) ++it;
    return it;
  }
  std::unique_ptr<PackedPair> memory() {
    if (free_ones.empty()) return std::make_unique<PackedPair>();
    auto pair = std::move(free_ones.back());
    free_ones.pop_back();
    return pair;
  }
  bool read(PackedPair& pair) const {
    const auto at = store.at(pair.index);
    try {
      at.shard->read_packed(at.pair.query, pair.query);
      at.shard->read_packed(at.pair.key, pair.key);
      return true;
    } catch (const std::exception&) {  // whoever takes it reads again, with retries, and tells
      return false;
    }
  }
  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      work.wait(lock, [this] { return stop || next_waiting() != expected.end(); });
      if (stop) return;
      // It stays where it is: take() removes no entry that runs.
      Expected& mine = next_waiting()->second;
      mine.phase = Phase::Runs;
      auto pair = memory();
      pair->index = mine.index;
      lock.unlock();
      const bool good = read(*pair);
      lock.lock();
      mine.phase = Phase::Over;
      (good ? mine.pair : free_ones.emplace_back()) = std::move(pair);
      over.notify_all();
    }
  }
};

ReadAhead::ReadAhead(const store::PairStore& store, int readers)
    : state_(std::make_unique<State>(store)) {
  for (int i = 0; i < readers; ++i)
    state_->threads.emplace_back([state = state_.get()] { state->run(); });
}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->work.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

void ReadAhead::expect(std::uint64_t place, std::int64_t index) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->expected.emplace(place, State::Expected{.index = index});
  }
  state_->work.notify_one();
}

std::unique_ptr<PackedPair> ReadAhead::take(std::uint64_t place) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  const auto found = s.expected.find(place);
  if (found == s.expected.end()) return nullptr;
  s.over.wait(lock, [&] { return found->second.phase != State::Phase::Runs; });
  auto pair = std::move(found->second.pair);
  s.expected.erase(found);
  return pair;
}

void ReadAhead::give_back(std::unique_ptr<PackedPair> pair) {
  const std::lock_guard lock(state_->mutex);
  state_->free_ones.push_back(std::move(pair));
}

}  // namespace homolog::data
