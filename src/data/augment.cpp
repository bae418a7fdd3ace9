// Rotation as a gather along precomputed indices: exact and the same on every device.
// Indices come from the host in double precision; the noise from a generator of its own per sample.
#include "data/augment.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <numbers>

#include "base/counter_rng.h"
#include "base/hash.h"

namespace homolog::data {
namespace {

at::Generator generator_for(const at::Device& device, std::uint64_t seed) {
  if (device.is_cpu()) return at::make_generator<at::CPUGeneratorImpl>(seed);
  at::Generator generator = at::globalContext()
                                .getAcceleratorHooksInterface(device.type())
                                .getNewGenerator(device.index());
  generator.set_current_seed(seed);
  return generator;
}

}  // namespace

std::vector<std::int64_t> rotation_source(std::int64_t x_size, std::int64_t y_size,
                                          double degrees) {
  const double angle = degrees * std::numbers::pi / 180, c = std::cos(angle), s = std::sin(angle);
  const double cx = (static_cast<double>(x_size) - 1) / 2,
               cy = (static_cast<double>(y_size) - 1) / 2;
  std::vector<std::int64_t> source;
  source.reserve(static_cast<std::size_t>(x_size * y_size));
  for (std::int64_t x = 0; x < x_size; ++x) {
    for (std::int64_t y = 0; y < y_size; ++y) {
      const double dx = static_cast<double>(x) - cx, dy = static_cast<double>(y) - cy;
      const auto from_x = static_cast<std::int64_t>(std::floor(c * dx + s * dy + cx + 0.5));
      const auto from_y = static_cast<std::int64_t>(std::floor(-s * dx + c * dy + cy + 0.5));
      const bool inside = from_x >= 0 && from_x < x_size && from_y >= 0 && from_y < y_size;
      source.push_back(inside ? from_x * y_size + from_y : -1);
    }
  }
  return source;
}

at::Tensor rotate_in_plane(const at::Tensor& image_XYZ, double degrees) {
  const std::int64_t X = image_XYZ.size(0), Y = image_XYZ.size(1);
  const auto source = rotation_source(X, Y, degrees);
  const at::Tensor index_host = at::tensor(at::ArrayRef<std::int64_t>(source), at::kLong);
  // From pageable memory the host would wait for the device.
  const at::Tensor index_P =
      image_XYZ.is_cuda() ? index_host.pin_memory().to(image_XYZ.device(), /*non_blocking=*/true)
                          : index_host;
  at::Tensor rotated_PZ = image_XYZ.reshape({X * Y, -1}).index_select(0, index_P.clamp_min(0));
  return rotated_PZ.mul_(index_P.ge(0).unsqueeze(1)).view_as(image_XYZ);
}

at::Tensor augment(const at::Tensor& crop_B1XYZ, const std::vector<std::uint64_t>& ids,
                   std::uint64_t seed, std::uint64_t epoch, View view, const AugmentPlan& plan) {
  const std::int64_t batch = crop_B1XYZ.size(0), X = crop_B1XYZ.size(2), Y = crop_B1XYZ.size(3),
                     Z = crop_B1XYZ.size(4);
  TORCH_CHECK(static_cast<std::int64_t>(ids.size()) == batch, "augment needs one id per sample");
  at::Tensor out_B1XYZ = at::empty_like(crop_B1XYZ, at::MemoryFormat::Contiguous);
  for (std::int64_t b = 0; b < batch; ++b) {
    // One stream per (seed, epoch, view); the sample is its index.
    const std::uint64_t stream =
        xxh3_64(hex64(seed) + hex64(epoch) + hex64(static_cast<std::uint64_t>(view)));
    CounterRng rng(stream, "augment", ids[static_cast<std::size_t>(b)]);
    const double degrees = rng.uniform(-plan.rotation_degrees, plan.rotation_degrees);
    const std::uint64_t noise_seed = rng.u64();
    at::Tensor rotated_XYZ = rotate_in_plane(crop_B1XYZ[b][0], degrees);
    if (plan.noise > 0) {
      auto generator = generator_for(crop_B1XYZ.device(), noise_seed);
      rotated_XYZ.add_(at::randn({X, Y, Z}, generator, crop_B1XYZ.options()), plan.noise);
    }
    out_B1XYZ[b][0].copy_(rotated_XYZ);
  }
  return out_B1XYZ;
}

}  // namespace homolog::data
