// What one worker does in one optimiser step, in numbers: counted by src/census, or written down by
// hand. The rest of this folder turns it into seconds and bytes on a given cluster.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace homolog::plan {

enum class Pass : std::uint8_t { Target, Student, Backward };

// One call of one operator.
struct OperatorWork {
  std::string name;  // "aten::convolution"
  Pass pass = Pass::Student;
  double flops = 0;     // of matrix products, convolutions and attention; a multiply-add is 2
  double bytes = 0;     // read and written, had no cache kept any of it
  bool matrix = false;  // runs on matrix units where there are any
};

struct ParameterCount {
  std::int64_t trained = 0;                   // numbers that get a gradient
  std::int64_t target = 0;                    // of them with an EMA copy
  std::int64_t fixed = 0;                     // registered, but never trained
  std::int64_t state = 0;                     // of the objective, beside parameters (centres)
  std::map<std::string, std::int64_t> parts;  // trained, by part of the network: "backbone", "head"
  std::string exported;                       // the part that `export` writes; "" is all
};

// Bytes of one worker with the batch as configured, in float32.
struct StepMemory {
  double weights = 0, gradients = 0, moments = 0, target = 0;  // the arena's flat buffers
  double fixed = 0;   // untrained parameters and buffers of all networks
  double saved = 0;   // kept by forward for backward
  double peak = 0;    // most that is alive at once beside all the others: saved and temporary
  double inputs = 0;  // the views of one batch on the device
};

struct StepWork {
  std::int64_t batch = 1;  // samples of one forward pass
  ParameterCount parameters;
  std::vector<OperatorWork> operators;  // of one forward and backward pass of `batch` samples
  StepMemory memory;
  double checkpoint_bytes = 0;
  double last_bucket_bytes = 0;  // gradients whose all-reduce backward cannot hide
  std::string source;            // how this was counted, for whoever reads the plan
};

struct Totals {
  double flops = 0, bytes = 0;
};
Totals totals(const StepWork& work, Pass pass);
Totals totals(const StepWork& work);

}  // namespace homolog::plan
