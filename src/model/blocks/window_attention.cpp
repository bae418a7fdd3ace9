// See window_attention.h. What homolog's own operator does not serve goes to the library: to its
// fused attention where the bias needs no gradient, to plain products where it does, because with
// that gradient the library's gains nothing.
#include "model/blocks/window_attention.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "model/attention/fused.h"

namespace homolog::model {
namespace {

// The bias is shared by all windows of an image, the mask differs between them: one call per image.
at::Tensor library(const at::Tensor& q_WHND, const at::Tensor& k_WHND, const at::Tensor& v_WHND,
                   const at::Tensor& bias_HNN, const at::Tensor& mask_VNN) {
  if (!mask_VNN.defined()) {
    return at::scaled_dot_product_attention(q_WHND, k_WHND, v_WHND, bias_HNN.unsqueeze(0));
  }
  const at::Tensor bias_VHNN = bias_HNN.unsqueeze(0) + mask_VNN.unsqueeze(1);
  const std::int64_t per_image = mask_VNN.size(0);
  std::vector<at::Tensor> images;
  for (std::int64_t first = 0; first < q_WHND.size(0); first += per_image) {
    const auto part = [&](const at::Tensor& t) { return t.narrow(0, first, per_image); };
    images.push_back(
        at::scaled_dot_product_attention(part(q_WHND), part(k_WHND), part(v_WHND), bias_VHNN));
  }
  return images.size() == 1 ? images[0] : at::cat(images);
}

at::Tensor plain(const at::Tensor& q_WHND, const at::Tensor& k_WHND, const at::Tensor& v_WHND,
                 const at::Tensor& bias_HNN, const at::Tensor& mask_VNN) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(q_WHND.size(-1)));
  // In the bias's format, which is no narrower than float32.
  at::Tensor score_WHNN =
      at::matmul(q_WHND * scale, k_WHND.transpose(-2, -1)).to(bias_HNN.scalar_type());
  score_WHNN.add_(bias_HNN);
  if (mask_VNN.defined()) {
    const std::int64_t windows = mask_VNN.size(0), n = mask_VNN.size(-1);
    score_WHNN.view({-1, windows, score_WHNN.size(1), n, n}).add_(mask_VNN.unsqueeze(1));
  }
  return at::matmul(score_WHNN.softmax(-1), v_WHND);
}

}  // namespace

at::Tensor window_attention(const at::Tensor& q_WNHD, const at::Tensor& k_WNHD,
                            const at::Tensor& v_WNHD, const at::Tensor& bias_HNN,
                            const at::Tensor& mask_VNN) {
  if (const auto out_WNC = attention::fused(q_WNHD, k_WNHD, v_WNHD, bias_HNN, mask_VNN))
    return *out_WNC;
  const at::Tensor q_WHND = q_WNHD.transpose(1, 2), k_WHND = k_WNHD.transpose(1, 2),
                   v_WHND = v_WNHD.transpose(1, 2);
  const bool learns_bias = at::GradMode::is_enabled() && bias_HNN.requires_grad();
  const at::Tensor out_WHND = learns_bias ? plain(q_WHND, k_WHND, v_WHND, bias_HNN, mask_VNN)
                                          : library(q_WHND, k_WHND, v_WHND, bias_HNN, mask_VNN);
  return out_WHND.transpose(1, 2).reshape({q_WNHD.size(0), q_WNHD.size(1), -1});
}

at::Tensor relative_index(std::int64_t window, bool exact) {
  const std::int64_t row = 2 * window - 1, plane = exact ? row * row : 3 * window - 1;
  const std::int64_t n = window * window * window;
  at::Tensor index = torch::empty({n, n}, torch::kLong);
  auto at_ij = index.accessor<std::int64_t, 2>();
  const auto place = [&](std::int64_t i) {
    return Size3{i / (window * window), i / window % window, i % window};
  };
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      const Size3 p = place(i), q = place(j);
      at_ij[i][j] = (p[0] - q[0] + window - 1) * plane + (p[1] - q[1] + window - 1) * row +
                    (p[2] - q[2] + window - 1);
    }
  }
  return index.flatten();
}

bool WindowGrid::is_shifted() const { return shift[0] > 0 || shift[1] > 0 || shift[2] > 0; }

Size3 WindowGrid::padded() const {
  Size3 out{};
  for (int a = 0; a < 3; ++a) out[a] = (size[a] + window[a] - 1) / window[a] * window[a];
  return out;
}

std::int64_t WindowGrid::windows() const {
  const Size3 p = padded();
  return p[0] / window[0] * (p[1] / window[1]) * (p[2] / window[2]);
}

at::Tensor WindowGrid::cut(const at::Tensor& tokens_BLC) const {
  const std::int64_t batch = tokens_BLC.size(0), channels = tokens_BLC.size(2);
  const Size3 p = padded();
  const Sides& w = window;
  at::Tensor grid = tokens_BLC.view({batch, size[0], size[1], size[2], channels});
  if (p != size) {
    grid =
        at::constant_pad_nd(grid, {0, 0, 0, p[2] - size[2], 0, p[1] - size[1], 0, p[0] - size[0]});
  }
  if (is_shifted()) grid = grid.roll({-shift[0], -shift[1], -shift[2]}, {1, 2, 3});
  return grid.view({batch, p[0] / w[0], w[0], p[1] / w[1], w[1], p[2] / w[2], w[2], channels})
      .permute({0, 1, 3, 5, 2, 4, 6, 7})
      .reshape({-1, w.volume(), channels});
}

at::Tensor WindowGrid::join(const at::Tensor& windows_WNC) const {
  const std::int64_t channels = windows_WNC.size(2);
  const Size3 p = padded();
  const Sides& w = window;
  at::Tensor grid =
      windows_WNC.view({-1, p[0] / w[0], p[1] / w[1], p[2] / w[2], w[0], w[1], w[2], channels})
          .permute({0, 1, 4, 2, 5, 3, 6, 7})
          .reshape({-1, p[0], p[1], p[2], channels});
  if (is_shifted()) grid = grid.roll({shift[0], shift[1], shift[2]}, {1, 2, 3});
  if (p != size) {
    for (int a = 0; a < 3; ++a) grid = grid.narrow(a + 1, 0, size[a]);
  }
  return grid.reshape({grid.size(0), -1, channels});
}

at::Tensor WindowGrid::shift_mask_VNN(const at::TensorOptions& options) const {
  const Size3 p = padded();
  at::Tensor region = torch::zeros({1, p[0], p[1], p[2], 1});
  for (int a = 0; a < 3; ++a) {  // regions of an axis: [0,-w), [-w,-shift), [-shift,end)
    at::Tensor id = torch::zeros({p[a]});
    id.slice(0, p[a] - window[a], p[a] - shift[a]).fill_(1);
    id.slice(0, p[a] - shift[a]).fill_(2);
    std::vector<std::int64_t> shape(5, 1);
    shape[static_cast<std::size_t>(a) + 1] = p[a];
    region = region * 3 + id.view(shape);
  }
  const WindowGrid plain{.size = p, .window = window, .shift = 0};
  const at::Tensor id_VN = plain.cut(region.reshape({1, -1, 1})).squeeze(-1);
  const at::Tensor differ_VNN = id_VN.unsqueeze(1) != id_VN.unsqueeze(2);
  return torch::zeros(differ_VNN.sizes(), options.dtype())
      .masked_fill_(differ_VNN, -100)
      .to(options.device());
}

const at::Tensor& ShiftMask::of_VNN(const WindowGrid& grid, const at::Tensor& like) {
  static const at::Tensor none;
  if (!grid.is_shifted()) return none;
  if (!mask_VNN_.defined() || size_ != grid.size || mask_VNN_.device() != like.device()) {
    mask_VNN_ = grid.shift_mask_VNN(torch::dtype(torch::kChar).device(like.device()));
    size_ = grid.size;
  }
  return mask_VNN_;
}

}  // namespace homolog::model
