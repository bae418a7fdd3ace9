// Pairs for Alice in whole runs of the engine: what they hold is a function of their ids.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/unit/objective/tiny_alice.h"
#include "train/session.h"
#include "train/source.h"

namespace homolog::train::toy {

// Ids of a global batch go to micro batches, then ranks, in order.
class Pairs final : public Source {
 public:
  Pairs(const Start& start, const backbone::Size3& crop, std::int64_t steps_per_epoch)
      : start_(start), crop_(crop), steps_(steps_per_epoch), at_(start.cursor) {}
  Batch next() override {
    const std::int64_t global = start_.batch * start_.accumulate * start_.world;
    const std::int64_t first = (micro_ * start_.world + start_.rank) * start_.batch;
    Batch batch = rows(static_cast<std::int64_t>(at_.epoch) * 1000 +
                       static_cast<std::int64_t>(at_.position) * global + first);
    if (++micro_ == start_.accumulate) {
      micro_ = 0;
      if (++at_.position == steps_) at_ = {at_.epoch + 1, 0};
    }
    batch.next = at_;
    return batch;
  }
  std::int64_t steps_per_epoch() const override { return steps_; }
  std::int64_t validation_batches() const override { return start_.accumulate; }
  Batch validation_batch(std::int64_t index) override {
    Batch batch = rows(500000 + (index * start_.world + start_.rank) * start_.batch);
    batch.next = at_;
    return batch;
  }
  data::StreamCounters counters() const override { return {}; }

 private:
  Batch rows(std::int64_t first) const {
    std::vector<std::uint64_t> ids;
    for (std::int64_t i = 0; i < start_.batch; ++i)
      ids.push_back(static_cast<std::uint64_t>(first + i));
    Batch batch;
    batch.views = objective::tiny::make_views(ids, crop_);
    batch.pairs = start_.batch;
    return batch;
  }
  Start start_;
  backbone::Size3 crop_;
  std::int64_t steps_;
  data::Cursor at_;
  std::int64_t micro_ = 0;
};

}  // namespace homolog::train::toy
