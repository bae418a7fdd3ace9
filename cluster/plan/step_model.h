// Seconds of a step on a device, and how they grow with the number of workers.
#pragma once

#include <cstdint>
#include <string>

#include "cluster/plan/allreduce_model.h"
#include "cluster/plan/hardware.h"
#include "cluster/plan/step_work.h"

namespace homolog::plan {

// Formats that decide rates and sizes.
struct Format {
  bool bf16 = false;  // networks compute in bfloat16: half the bytes of what they read and write
  bool tf32 = true;   // float32 products may round their factors
};

// Of one worker without communication. Each operator takes the longer of its products and its
// traffic; the parts are sums over operators.
struct StepSeconds {
  double target = 0, student = 0, backward = 0;  // all forward and backward passes of a step
  double update = 0;                             // norm, clip, optimiser, EMA
  double products = 0, traffic = 0;              // the passes, had the other cost nothing
  double total() const { return target + student + backward + update; }
};

// `passes`: forward and backward passes per step (data.accumulate).
StepSeconds step_seconds(const StepWork& work, const Device& device, const Format& format,
                         std::int64_t passes);

struct Scaling {
  double all_reduce = 0;   // s, all gradients in one go
  double exposed = 0;      // s, what backward does not hide
  double jitter = 0;       // s, waiting for the slowest
  double alone = 0;        // efficiency without overlap: T / (T + all_reduce)
  double overlapped = 0;   // T / (T + exposed)
  double with_jitter = 0;  // T / (T + exposed + jitter)
  double step = 0;         // s: T + exposed + jitter
};

struct Load {
  double step = 0;      // s, T: one worker's step without communication
  double backward = 0;  // s of the last pass's backward, during which buckets travel
  double gradient_bytes = 0, tail_bytes = 0;  // all; the last bucket
  double jitter = 0;                          // standard deviation of a step, as a share of T
};

// The slowest of N workers is jitter * T * sqrt(2 ln N) late.
Scaling scaling(const Load& load, const Fabric& fabric);

}  // namespace homolog::plan
