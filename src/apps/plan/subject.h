// What `homolog plan` plans for: training on pairs, or SAM on the volumes of a catalogue.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/options.h"
#include "census/step_census.h"

namespace homolog {

// What is known of the data without opening more than a store's list of contents.
struct SubjectData {
  std::int64_t train_samples = 0;  // of an epoch; 0: not known
  double sample_bytes = 0;         // that one sample takes to be read
  bool from_store = false;         // the store's own figure
};

// Declares the options of its training into the program's, and builds the step from them.
class Subject {
 public:
  virtual ~Subject() = default;
  virtual void declare(Options& options, train::TrainingPlan& plan) = 0;
  // After parse(). Throws Fault::Usage or Data: what no single option tells.
  virtual void check() = 0;
  virtual census::StepSetup setup(const train::TrainingPlan& plan) = 0;
  virtual SubjectData data() const = 0;
  virtual std::int64_t recipe_batch() const = 0;  // 0: not known
  virtual bool can_be_probed() const = 0;
};

// `train_samples`: the user's --train-samples, 0 where the data tell.
std::unique_ptr<Subject> pair_subject(const std::int64_t& train_samples);
std::unique_ptr<Subject> sam_subject(const std::int64_t& train_samples);

}  // namespace homolog
