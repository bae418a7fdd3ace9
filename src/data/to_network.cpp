// Orientation and scale.
// The flip comes first on the integers, so that the large float tensor is written once, contiguous.
#include "data/to_network.h"

#include <ATen/ATen.h>

#include "base/counter_rng.h"
#include "base/hash.h"

namespace homolog::data {

at::Tensor to_network(const at::Tensor& stored_BDHW, int window_width) {
  TORCH_CHECK(stored_BDHW.dim() == 4 && stored_BDHW.scalar_type() == at::kShort,
              "to_network takes int16 [B][z][y][x]");
  return stored_BDHW.permute({0, 3, 2, 1})
      .flip({1, 2})
      .unsqueeze(1)
      .to(at::kFloat)
      .contiguous()
      .div_(static_cast<float>(window_width));
}

at::Tensor take_crop(const at::Tensor& stored_BDHW, int margin,
                     const std::vector<std::uint64_t>& ids, std::uint64_t seed, std::uint64_t epoch,
                     bool shift) {
  if (margin == 0) return stored_BDHW;
  std::vector<at::Tensor> samples;
  for (std::int64_t b = 0; b < stored_BDHW.size(0); ++b) {
    CounterRng rng(xxh3_64("shift", seed ^ epoch), "crop-shift", ids[static_cast<std::size_t>(b)]);
    at::Tensor crop_DHW = stored_BDHW[b];
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      const std::int64_t moved =
          shift ? static_cast<std::int64_t>(rng.below(2 * static_cast<std::uint64_t>(margin) + 1))
                : margin;
      crop_DHW = crop_DHW.narrow(axis, moved, stored_BDHW.size(axis + 1) - 2 * margin);
    }
    samples.push_back(crop_DHW);
  }
  return at::stack(samples);
}

}  // namespace homolog::data
