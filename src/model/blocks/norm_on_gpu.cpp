// See norm_on_gpu.h.
#include "model/blocks/norm_on_gpu.h"

#include <c10/core/DeviceGuard.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "model/blocks/norm_maps.h"
#include "model/device_stream.h"

namespace homolog::model {
namespace {

template <class T>
T* data_of(const at::Tensor& t) {
  return t.defined() ? static_cast<T*>(t.data_ptr()) : nullptr;
}

template <class T>
NormMaps<T> norm_maps(const at::Tensor& x_BCXYZ, const at::Tensor& shortcut_BCXYZ,
                      const at::Tensor& rstd_N, const at::Tensor& sums, double slope,
                      double epsilon) {
  NormMaps<T> m;
  m.maps = rstd_N.numel();
  m.voxels = x_BCXYZ.numel() / m.maps;
  m.parts = parts_of(m.voxels);
  m.slope = static_cast<float>(slope);
  m.epsilon = static_cast<float>(epsilon);
  m.shortcut = data_of<const T>(shortcut_BCXYZ);
  m.rstd = data_of<float>(rstd_N);
  m.sums = data_of<float>(sums);
  return m;
}

at::Tensor sums_for(const at::Tensor& x_BCXYZ, const at::Tensor& rstd_N) {
  const std::int64_t maps = rstd_N.numel();
  return torch::empty({maps, parts_of(x_BCXYZ.numel() / maps), 2}, rstd_N.options());
}

bool is_bf16(const at::Tensor& t) { return t.scalar_type() == torch::kBFloat16; }

}  // namespace

at::Tensor normalise_on_gpu(const at::Tensor& x_BCXYZ, const at::Tensor& shortcut_BCXYZ,
                            double slope, double epsilon) {
  const at::Tensor rstd_N =
      torch::empty({x_BCXYZ.size(0) * x_BCXYZ.size(1)}, x_BCXYZ.options().dtype(torch::kFloat));
  if (x_BCXYZ.is_meta() || x_BCXYZ.numel() == 0) return rstd_N;
  const c10::OptionalDeviceGuard on_device(x_BCXYZ.device());
  const at::Tensor sums = sums_for(x_BCXYZ, rstd_N);
  const auto run = [&](auto* x) {
    using T = std::remove_pointer_t<decltype(x)>;
    normalise_maps(norm_maps<T>(x_BCXYZ, shortcut_BCXYZ, rstd_N, sums, slope, epsilon), x,
                   stream_of(x_BCXYZ.device()));
  };
  if (is_bf16(x_BCXYZ))
    run(data_of<Bf16>(x_BCXYZ));
  else
    run(data_of<float>(x_BCXYZ));
  return rstd_N;
}

void gradients_on_gpu(const at::Tensor& y_BCXYZ, const at::Tensor& shortcut_BCXYZ,
                      const at::Tensor& rstd_N, const at::Tensor& of_y_BCXYZ, double slope,
                      const at::Tensor& of_x_BCXYZ, const at::Tensor& of_shortcut_BCXYZ) {
  if (y_BCXYZ.is_meta() || y_BCXYZ.numel() == 0) return;
  const c10::OptionalDeviceGuard on_device(y_BCXYZ.device());
  const at::Tensor sums = sums_for(y_BCXYZ, rstd_N);
  const auto run = [&](auto* y) {
    using T = std::remove_pointer_t<decltype(y)>;
    const MapGradients<T> at = {y, data_of<const T>(of_y_BCXYZ), data_of<T>(of_x_BCXYZ),
                                data_of<T>(of_shortcut_BCXYZ)};
    map_gradients(norm_maps<T>(y_BCXYZ, shortcut_BCXYZ, rstd_N, sums, slope, /*epsilon=*/0), at,
                  stream_of(y_BCXYZ.device()));
  };
  if (is_bf16(y_BCXYZ))
    run(data_of<Bf16>(y_BCXYZ));
  else
    run(data_of<float>(y_BCXYZ));
}

}  // namespace homolog::model
