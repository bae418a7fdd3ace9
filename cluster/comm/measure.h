// How long collectives take, as training starts them: through the queue, with the wait. For doctor
// and bench.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "cluster/comm/communicator.h"

namespace homolog::comm {

struct Rounds {
  int warm_ups = 3, timed = 21;
  double seconds = 10;  // no further round begins after so long; every rank takes as many
};

// Around a buffer that lies on the communicator's device: what the back-end itself cannot do.
struct DeviceBuffer {
  Buffer buffer;                          // float32
  void* stream = nullptr;                 // the cudaStream_t it is used on; null: host memory
  std::function<void(float value)> fill;  // all elements
  std::function<float()> last;            // the last element, once all work on it is done
};
DeviceBuffer host_buffer(std::vector<float>& values);

// Seconds of each in-place all-reduce, a barrier before each; first a sum of ones is checked.
// Collective. Throws Fault::Replicas (a wrong sum), Fault::Environment.
std::vector<double> time_all_reduce(Communicator& world, const DeviceBuffer& buffer,
                                    const Rounds& rounds);
// Seconds of each barrier. Collective.
std::vector<double> time_barrier(Communicator& world, const Rounds& rounds);

double median_of(std::vector<double> values);  // REQUIRES: not empty

}  // namespace homolog::comm
