#include "cluster/comm/measure.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"

namespace homolog::comm {
namespace {

// Rank 0's clock decides for all whether another round begins.
bool all_go_on(Communicator& world, const Stopwatch& since, double seconds) {
  std::uint8_t more = since.seconds() < seconds ? 1 : 0;
  world.broadcast({&more, 1, Scalar::U8}, 0);
  return more != 0;
}

template <class Once>
std::vector<double> repeat(Communicator& world, const Rounds& rounds, const Once& once) {
  const Stopwatch since;
  for (int i = 0; i < rounds.warm_ups && all_go_on(world, since, rounds.seconds / 2); ++i) once();
  std::vector<double> timed;
  do {
    timed.push_back(once());
  } while (static_cast<int>(timed.size()) < rounds.timed &&
           all_go_on(world, since, rounds.seconds));
  return timed;
}

}  // namespace

DeviceBuffer host_buffer(std::vector<float>& values) {
  return {{values.data(), values.size(), Scalar::F32},
          nullptr,
          [&values](float value) { std::fill(values.begin(), values.end(), value); },
          [&values] { return values.back(); }};
}

std::vector<double> time_all_reduce(Communicator& world, const DeviceBuffer& buffer,
                                    const Rounds& rounds) {
  const auto once = [&] {
    world.barrier();
    Stopwatch watch;
    world.wait(world.start_all_reduce(buffer.buffer, Reduce::Sum, "bench", buffer.stream),
               buffer.stream);
    if (buffer.stream != nullptr) buffer.last();  // waits for the device
    return watch.lap();
  };
  buffer.fill(1);
  once();
  if (buffer.last() != static_cast<float>(world.rank().size))
    throw Error(
        Fault::Replicas, "the sum of ones over the world is not its size",
        "the network or a GPU changes bytes: run `homolog doctor` on fewer nodes to find it");
  buffer.fill(0);  // sums of zeros stay finite
  return repeat(world, rounds, once);
}

std::vector<double> time_barrier(Communicator& world, const Rounds& rounds) {
  return repeat(world, rounds, [&] {
    Stopwatch watch;
    world.barrier();
    return watch.lap();
  });
}

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace homolog::comm
