#include "data/body_cache.h"

namespace homolog::data {
namespace {

std::int64_t bytes(const Volume& v) {
  return static_cast<std::int64_t>(v.hu.size() * sizeof(std::int16_t));
}

}  // namespace

std::shared_ptr<const Volume> BodyCache::get(std::size_t index) {
  const auto held = [&]() -> std::shared_ptr<const Volume> {
    const std::lock_guard lock(mutex_);
    const auto found = bodies_.find(index);
    if (found == bodies_.end()) return nullptr;
    order_.remove(index);
    order_.push_front(index);
    return found->second;
  };
  if (auto body = held()) return body;
  const std::lock_guard one_at_a_time(making_);
  if (auto body = held()) return body;  // another thread made it meanwhile
  auto body = std::make_shared<const Volume>(make_(index));
  const std::lock_guard lock(mutex_);
  made_ += bytes(*body);
  held_ += bytes(*body);
  bodies_[index] = body;
  order_.push_front(index);
  while (held_ > limit_ && order_.size() > 1) {
    held_ -= bytes(*bodies_.at(order_.back()));
    bodies_.erase(order_.back());
    order_.pop_back();
  }
  return body;
}

std::int64_t BodyCache::bytes_made() const {
  const std::lock_guard lock(mutex_);
  return made_;
}

}  // namespace homolog::data
