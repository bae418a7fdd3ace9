// Volumes prepared for SAM, kept in memory up to a limit; the least recently used goes first.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>

#include "volume/volume.h"

namespace homolog::data {

class BodyCache {
 public:
  using Make = std::function<Volume(std::size_t)>;
  BodyCache(Make make, std::int64_t limit_bytes) : make_(std::move(make)), limit_(limit_bytes) {}
  // Thread-safe; makes one volume at a time. Throws what making threw.
  std::shared_ptr<const Volume> get(std::size_t index);
  std::int64_t bytes_made() const;

 private:
  Make make_;
  std::int64_t limit_, held_ = 0, made_ = 0;
  mutable std::mutex mutex_, making_;
  std::map<std::size_t, std::shared_ptr<const Volume>> bodies_;
  std::list<std::size_t> order_;  // most recently used first
};

}  // namespace homolog::data
