// Pairs of a store as the trainer's batches: stream, orientation and scale, the target's
// augmentation. Gives "query_B1XYZ", "key_B1XYZ" and, augmented, "target_query_B1XYZ",
// "target_key_B1XYZ".
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "base/options.h"
#include "data/augment.h"
#include "data/pair_order.h"
#include "train/session.h"
#include "train/source.h"

namespace homolog::train {

struct PairSourcePlan {
  std::filesystem::path store;
  int threads = 2, ahead = 4;                     // decode threads, batches kept ready
  std::int64_t order_block = 0, order_mixed = 8;  // data::Locality
  std::filesystem::path staged;                   // of homolog store stage
  std::int64_t bad_record_budget = 16;
  double read_timeout_s = 60;
  std::string page_cache = "auto";      // "used", "passed"; "auto": passed by splits beyond memory
  bool augment_teacher = true;          // false: the target sees the plain crop (D7)
  bool random_shift = true;             // where the store's crops carry a margin
  std::int64_t validation_pairs = 512;  // at most so many held-out pairs a validation; 0: all
  data::AugmentPlan augment;

  std::uint64_t cached_bytes() const;
  data::Locality locality() const {
    return {static_cast<std::uint64_t>(order_block), static_cast<std::uint64_t>(order_mixed)};
  }
};

// Its part of the section [data].
void declare(Options& options, PairSourcePlan& plan);

// What must be known of a store before a source is built. Throws Fault::Data.
struct PairStoreFacts {
  std::array<std::int64_t, 3> crop_xyz{};     // of the network's input, without margin
  int window_low_hu = 0, window_high_hu = 0;  // that intensities 0 and 1 stand for
  std::int64_t train_pairs = 0, validation_pairs = 0;
  std::string hash;  // 16 hex digits, for TrainingParts::identity
};
PairStoreFacts pair_store_facts(const std::filesystem::path& store);

class PairSource : public Source {
 public:
  // Throws Fault::Data as PairStream does.
  PairSource(const PairSourcePlan& plan, const Start& start);
  ~PairSource() override;
  Batch next() override;
  std::int64_t steps_per_epoch() const override;
  // Of the split "validation" the first validation_pairs in a fixed order, whatever the world: this
  // rank's share of them. The last batch may be smaller; a rank may have none.
  std::int64_t validation_batches() const override;
  Batch validation_batch(std::int64_t index) override;
  data::StreamCounters counters() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace homolog::train
