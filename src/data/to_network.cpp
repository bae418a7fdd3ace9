// Orientation and scale. On a CPU in one pass, a tile at a time: reads run along x, writes along z.
// On a device the flip comes first, so that the large float tensor is written once, contiguous.
#include "data/to_network.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "base/counter_rng.h"
#include "base/hash.h"

namespace homolog::data {
namespace {

constexpr std::int64_t kTile = 16;  // floats: a line of the cache

struct Sides {
  std::int64_t x, y, z;
};

// The plane at one y: to[X - 1 - x][z] = from[z][x] / width.
void turn_plane(const std::int16_t* from, float* to, const Sides& n, float width) {
  float tile[kTile][kTile];
  for (std::int64_t x0 = 0; x0 < n.x; x0 += kTile) {
    for (std::int64_t z0 = 0; z0 < n.z; z0 += kTile) {
      const std::int64_t xs = std::min(kTile, n.x - x0), zs = std::min(kTile, n.z - z0);
      for (std::int64_t z = 0; z < zs; ++z)
        for (std::int64_t x = 0; x < xs; ++x)
          tile[x][z] = static_cast<float>(from[(z0 + z) * n.y * n.x + x0 + x]) / width;
      for (std::int64_t x = 0; x < xs; ++x)
        std::copy_n(tile[x], zs, to + (n.x - 1 - x0 - x) * n.y * n.z + z0);
    }
  }
}

at::Tensor to_network_cpu(const at::Tensor& stored_BDHW, float width) {
  const std::int64_t batch = stored_BDHW.size(0);
  const Sides n{stored_BDHW.size(3), stored_BDHW.size(2), stored_BDHW.size(1)};
  at::Tensor out_B1XYZ = at::empty({batch, 1, n.x, n.y, n.z}, at::kFloat);
  const auto* from = stored_BDHW.const_data_ptr<std::int16_t>();
  auto* to = out_B1XYZ.mutable_data_ptr<float>();
  at::parallel_for(0, batch * n.y, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t sample = row / n.y * n.x * n.y * n.z, y = row % n.y;
      turn_plane(from + sample + y * n.x, to + sample + (n.y - 1 - y) * n.z, n, width);
    }
  });
  return out_B1XYZ;
}

}  // namespace

at::Tensor to_network(const at::Tensor& stored_BDHW, int window_width) {
  TORCH_CHECK(stored_BDHW.dim() == 4 && stored_BDHW.scalar_type() == at::kShort,
              "to_network takes int16 [B][z][y][x]");
  if (stored_BDHW.is_cpu())
    return to_network_cpu(stored_BDHW.contiguous(), static_cast<float>(window_width));
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
