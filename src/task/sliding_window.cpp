#include "task/sliding_window.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"

namespace homolog::task {
namespace {

constexpr double kLeastWeight = 1e-3;

void check(const at::Tensor& image_BCXYZ, const SlidingWindowPlan& plan) {
  if (image_BCXYZ.dim() != 5) {
    throw Error(Fault::Data,
                "a sliding window got an image of " + std::to_string(image_BCXYZ.dim()) + " axes",
                "give it as batch, channels, X, Y, Z");
  }
  for (std::size_t a = 0; a < 3; ++a) {
    if (plan.window[a] < 1 || !(plan.overlap[a] >= 0 && plan.overlap[a] < 1) ||
        !(plan.sigma[a] > 0) || plan.windows_at_once < 1) {
      throw Error(Fault::Usage,
                  "sliding window of side " + std::to_string(plan.window[a]) + ", overlap " +
                      std::to_string(plan.overlap[a]) + ", sigma " + std::to_string(plan.sigma[a]) +
                      ", " + std::to_string(plan.windows_at_once) + " at once",
                  "side, sigma and windows at once are positive, overlap is in [0, 1)");
    }
  }
}

std::vector<std::int64_t> starts_along(std::int64_t image, std::int64_t window, double overlap) {
  if (image == window) return {0};
  const auto step = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(static_cast<double>(window) * (1 - overlap)));
  std::vector<std::int64_t> starts;
  for (std::int64_t at = 0;; at += step) {
    starts.push_back(std::min(at, image - window));
    if (at + window >= image) return starts;
  }
}

at::Tensor window_of(const at::Tensor& image_BCXYZ, std::int64_t sample, const Size3& start,
                     const Size3& side) {
  at::Tensor view = image_BCXYZ.narrow(0, sample, 1);
  for (std::size_t a = 0; a < 3; ++a) {
    view = view.narrow(static_cast<std::int64_t>(a) + 2, start[a], side[a]);
  }
  return view;
}

// The sums of weighted results and of weights, over all windows of a batch.
class Blending {
 public:
  Blending(const at::Tensor& image_BCXYZ, const SlidingWindowPlan& plan)
      : image_BCXYZ_(image_BCXYZ),
        plan_(plan),
        type_(image_BCXYZ.scalar_type() == at::kDouble ? at::kDouble : at::kFloat),
        weights_XYZ_(window_weights(plan).to(image_BCXYZ.device(), type_)) {}

  // One pass over windows whose (sample, start) are given.
  void add(const std::vector<std::pair<std::int64_t, Size3>>& places, const Predictor& predict) {
    std::vector<at::Tensor> windows;
    for (const auto& [sample, start] : places) {
      windows.push_back(window_of(image_BCXYZ_, sample, start, plan_.window));
    }
    at::Tensor result_NCXYZ = predict(at::cat(windows));
    check_result(result_NCXYZ, static_cast<std::int64_t>(places.size()));
    result_NCXYZ = result_NCXYZ.to(image_BCXYZ_.device(), type_) * weights_XYZ_;
    if (!sum_BCXYZ_.defined()) start_sums(result_NCXYZ.size(1));
    for (std::size_t i = 0; i < places.size(); ++i) {
      const auto& [sample, start] = places[i];
      window_of(sum_BCXYZ_, sample, start, plan_.window)
          .add_(result_NCXYZ.narrow(0, static_cast<std::int64_t>(i), 1));
      if (sample == 0) window_of(weight_11XYZ_, 0, start, plan_.window).add_(weights_XYZ_);
    }
  }

  at::Tensor mean() { return sum_BCXYZ_.div_(weight_11XYZ_); }

 private:
  void check_result(const at::Tensor& result_NCXYZ, std::int64_t windows) const {
    bool fits = result_NCXYZ.dim() == 5 && result_NCXYZ.size(0) == windows;
    for (std::size_t a = 0; fits && a < 3; ++a) {
      fits = result_NCXYZ.size(static_cast<std::int64_t>(a) + 2) == plan_.window[a];
    }
    if (fits && sum_BCXYZ_.defined()) fits = result_NCXYZ.size(1) == sum_BCXYZ_.size(1);
    if (fits) return;
    throw Error(Fault::Data,
                "the predictor of a sliding window changed the windows' number or size",
                "it must return (windows, channels) with the windows' sides");
  }

  void start_sums(std::int64_t channels) {
    std::vector<std::int64_t> shape = image_BCXYZ_.sizes().vec();
    const auto options = image_BCXYZ_.options().dtype(type_);
    shape[1] = channels;
    sum_BCXYZ_ = at::zeros(shape, options);
    shape[0] = shape[1] = 1;
    weight_11XYZ_ = at::zeros(shape, options);
  }

  const at::Tensor image_BCXYZ_;
  const SlidingWindowPlan& plan_;
  const at::ScalarType type_;
  const at::Tensor weights_XYZ_;
  at::Tensor sum_BCXYZ_, weight_11XYZ_;
};

}  // namespace

std::vector<Size3> window_starts(const Size3& image, const SlidingWindowPlan& plan) {
  std::vector<Size3> result;
  const auto along = [&](std::size_t a) {
    return starts_along(image[a], plan.window[a], plan.overlap[a]);
  };
  const auto y_starts = along(1), z_starts = along(2);
  for (const std::int64_t x : along(0)) {
    for (const std::int64_t y : y_starts) {
      for (const std::int64_t z : z_starts) result.push_back({x, y, z});
    }
  }
  return result;
}

at::Tensor window_weights(const SlidingWindowPlan& plan) {
  const auto options = at::TensorOptions().dtype(at::kFloat);
  at::Tensor weights_XYZ = at::ones({plan.window[0], plan.window[1], plan.window[2]}, options);
  if (plan.blend == Blend::Constant) return weights_XYZ;
  for (std::size_t a = 0; a < 3; ++a) {
    const auto side = static_cast<double>(plan.window[a]);
    const double sigma = plan.sigma[a] * side;
    const at::Tensor from_middle = at::arange(plan.window[a], options) - (side - 1) / 2;
    std::vector<std::int64_t> shape{1, 1, 1};
    shape[a] = plan.window[a];
    weights_XYZ.mul_((from_middle * from_middle / (-2 * sigma * sigma)).exp().view(shape));
  }
  return weights_XYZ.clamp_min_(kLeastWeight);
}

at::Tensor slide(const at::Tensor& image_BCXYZ, const Predictor& predict,
                 const SlidingWindowPlan& plan) {
  check(image_BCXYZ, plan);
  const at::NoGradGuard no_grad;
  std::vector<std::int64_t> padding;  // last axis first
  Size3 low{}, size{};
  for (std::size_t a = 3; a-- > 0;) {
    const std::int64_t n = image_BCXYZ.size(static_cast<std::int64_t>(a) + 2);
    const std::int64_t missing = std::max<std::int64_t>(0, plan.window[a] - n);
    low[a] = missing / 2;
    size[a] = n + missing;
    padding.insert(padding.end(), {low[a], missing - low[a]});
  }
  const at::Tensor padded_BCXYZ = at::constant_pad_nd(image_BCXYZ, padding, plan.padding);
  Blending blending(padded_BCXYZ, plan);
  const std::vector<Size3> starts = window_starts(size, plan);
  std::vector<std::pair<std::int64_t, Size3>> places;
  for (std::int64_t sample = 0; sample < image_BCXYZ.size(0); ++sample) {
    for (const Size3& start : starts) {
      places.emplace_back(sample, start);
      if (static_cast<std::int64_t>(places.size()) < plan.windows_at_once) continue;
      blending.add(places, predict);
      places.clear();
    }
  }
  if (!places.empty()) blending.add(places, predict);
  at::Tensor result_BCXYZ = blending.mean();
  for (std::size_t a = 0; a < 3; ++a) {
    const auto axis = static_cast<std::int64_t>(a) + 2;
    result_BCXYZ = result_BCXYZ.narrow(axis, low[a], image_BCXYZ.size(axis));
  }
  return result_BCXYZ.contiguous();
}

Predictor mirrored(Predictor predict, std::vector<std::int64_t> axes) {
  return [predict = std::move(predict), axes = std::move(axes)](const at::Tensor& windows_NCXYZ) {
    at::Tensor sum;
    const unsigned forms = 1U << axes.size();
    for (unsigned form = 0; form < forms; ++form) {
      std::vector<std::int64_t> flipped;
      for (std::size_t i = 0; i < axes.size(); ++i) {
        if ((form >> i & 1U) != 0) flipped.push_back(axes[i] + 2);
      }
      const at::Tensor seen = predict(windows_NCXYZ.flip(flipped)).flip(flipped);
      sum = sum.defined() ? sum + seen : seen;
    }
    return sum / static_cast<double>(forms);
  };
}

}  // namespace homolog::task
