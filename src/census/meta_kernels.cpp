// See meta_kernels.h. Each kernel is named after its operator and has its arguments.
#include "census/meta_kernels.h"

#include <torch/library.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <array>
#include <optional>
#include <tuple>
#include <vector>

#include "census/meta_attention.h"

namespace homolog::census {
namespace {

using at::IntArrayRef;
using at::Tensor;
using std::int64_t;
using Maybe = std::optional<Tensor>;
using Three = std::tuple<Tensor, Tensor, Tensor>;

Tensor like(const Tensor& t) { return at::empty(t.sizes(), t.options()); }
Tensor like_if(bool wanted, const Tensor& t) { return wanted ? like(t) : Tensor(); }
Tensor vector_if(bool wanted, int64_t n, const Tensor& t) {
  return wanted ? at::empty({n}, t.options()) : Tensor();
}
int64_t entry(IntArrayRef values, std::size_t i) {
  return values.size() == 1 ? values[0] : values.at(i);
}

Tensor convolution(const Tensor& x, const Tensor& weight, const Maybe& /*bias*/, IntArrayRef stride,
                   IntArrayRef padding, IntArrayRef dilation, bool transposed,
                   IntArrayRef output_padding, int64_t groups) {
  std::vector<int64_t> shape = {x.size(0), transposed ? weight.size(1) * groups : weight.size(0)};
  for (int64_t a = 2; a < x.dim(); ++a) {
    const auto i = static_cast<std::size_t>(a - 2);
    const int64_t reach = entry(dilation, i) * (weight.size(a) - 1);
    const int64_t edge = 2 * entry(padding, i);
    shape.push_back(transposed ? (x.size(a) - 1) * entry(stride, i) - edge + reach +
                                     entry(output_padding, i) + 1
                               : (x.size(a) + edge - reach - 1) / entry(stride, i) + 1);
  }
  return at::empty(shape, x.options());
}

Three convolution_backward(const Tensor& gradient, const Tensor& x, const Tensor& weight,
                           at::OptionalIntArrayRef /*bias*/, IntArrayRef /*stride*/,
                           IntArrayRef /*padding*/, IntArrayRef /*dilation*/, bool /*transposed*/,
                           IntArrayRef /*output_padding*/, int64_t /*groups*/,
                           std::array<bool, 3> wanted) {
  return {like_if(wanted[0], x), like_if(wanted[1], weight),
          vector_if(wanted[2], gradient.size(1), gradient)};
}

Three native_layer_norm(const Tensor& x, IntArrayRef normalized, const Maybe& /*weight*/,
                        const Maybe& /*bias*/, double /*eps*/) {
  std::vector<int64_t> rows(x.sizes().begin(), x.sizes().end() - normalized.size());
  rows.resize(static_cast<std::size_t>(x.dim()), 1);
  return {like(x), at::empty(rows, x.options()), at::empty(rows, x.options())};
}

Three native_layer_norm_backward(const Tensor& /*gradient*/, const Tensor& x,
                                 IntArrayRef normalized, const Tensor& /*mean*/,
                                 const Tensor& /*rstd*/, const Maybe& /*weight*/,
                                 const Maybe& /*bias*/, std::array<bool, 3> wanted) {
  const Tensor row = at::empty(normalized, x.options());
  return {like_if(wanted[0], x), wanted[1] ? row : Tensor(), like_if(wanted[2], row)};
}

Three native_group_norm(const Tensor& x, const Maybe& /*weight*/, const Maybe& /*bias*/, int64_t n,
                        int64_t /*c*/, int64_t /*pixels*/, int64_t groups, double /*eps*/) {
  return {like(x), at::empty({n, groups}, x.options()), at::empty({n, groups}, x.options())};
}

Three native_group_norm_backward(const Tensor& /*gradient*/, const Tensor& x, const Tensor&,
                                 const Tensor& /*rstd*/, const Maybe& /*weight*/, int64_t /*n*/,
                                 int64_t c, int64_t /*pixels*/, int64_t /*groups*/,
                                 std::array<bool, 3> wanted) {
  return {like_if(wanted[0], x), vector_if(wanted[1], c, x), vector_if(wanted[2], c, x)};
}

Three native_batch_norm(const Tensor& x, const Maybe& /*weight*/, const Maybe& /*bias*/,
                        const Maybe& /*mean*/, const Maybe& /*var*/, bool training,
                        double /*momentum*/, double /*eps*/) {
  const int64_t c = training ? x.size(1) : 0;
  return {like(x), at::empty({c}, x.options()), at::empty({c}, x.options())};
}

Three native_batch_norm_backward(const Tensor& /*gradient*/, const Tensor& x, const Maybe&,
                                 const Maybe&, const Maybe&, const Maybe&, const Maybe&,
                                 bool /*train*/, double /*eps*/, std::array<bool, 3> wanted) {
  return {like_if(wanted[0], x), vector_if(wanted[1], x.size(1), x),
          vector_if(wanted[2], x.size(1), x)};
}

std::tuple<Tensor, Tensor> max_pool3d_with_indices(const Tensor& x, IntArrayRef kernel,
                                                   IntArrayRef stride, IntArrayRef padding,
                                                   IntArrayRef dilation, bool ceil_mode) {
  std::vector<int64_t> shape(x.sizes().begin(), x.sizes().end());
  for (std::size_t i = 0; i < 3; ++i) {
    const int64_t step = stride.empty() ? entry(kernel, i) : entry(stride, i);
    const int64_t room = x.size(x.dim() - 3 + static_cast<int64_t>(i)) + 2 * entry(padding, i) -
                         entry(dilation, i) * (entry(kernel, i) - 1) - 1;
    shape[shape.size() - 3 + i] = (room + (ceil_mode ? step - 1 : 0)) / step + 1;
  }
  return {at::empty(shape, x.options()), at::empty(shape, x.options().dtype(torch::kLong))};
}

Tensor max_pool3d_with_indices_backward(const Tensor& /*gradient*/, const Tensor& x, IntArrayRef,
                                        IntArrayRef, IntArrayRef, IntArrayRef, bool,
                                        const Tensor& /*indices*/) {
  return like(x);
}

Tensor adaptive_avg_pool3d(const Tensor& x, IntArrayRef sides) {
  std::vector<int64_t> shape(x.sizes().begin(), x.sizes().end());
  for (std::size_t i = 0; i < 3; ++i) shape[shape.size() - 3 + i] = sides[i];
  return at::empty(shape, x.options());
}
Tensor adaptive_avg_pool3d_backward(const Tensor& /*gradient*/, const Tensor& x) { return like(x); }

Tensor mse_loss_backward(const Tensor& /*gradient*/, const Tensor& x, const Tensor& /*target*/,
                         int64_t /*reduction*/) {
  return like(x);
}

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  std::vector<int64_t> shape(x.sizes().begin(), x.sizes().end());
  shape.at(static_cast<std::size_t>(dim < 0 ? dim + x.dim() : dim)) = index.numel();
  return at::empty(shape, x.options());
}

Tensor roll(const Tensor& x, IntArrayRef /*shifts*/, IntArrayRef /*dims*/) { return like(x); }

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  const auto same = at::broadcast_tensors({condition, a, b});
  return at::empty(same[1].sizes(), a.options().dtype(at::result_type(a, b)));
}

std::tuple<Tensor, Tensor> native_dropout(const Tensor& x, double /*p*/, std::optional<bool>) {
  return {like(x), at::empty(x.sizes(), x.options().dtype(torch::kBool))};
}
Tensor native_dropout_backward(const Tensor& gradient, const Tensor& /*mask*/, double /*scale*/) {
  return like(gradient);
}

Tensor same(const Tensor& x) { return like(x); }
Tensor& itself(Tensor& x) { return x; }
Tensor flip(const Tensor& x, IntArrayRef /*dims*/) { return like(x); }
Tensor smooth_l1_loss_backward(const Tensor& /*gradient*/, const Tensor& x, const Tensor&, int64_t,
                               double /*beta*/) {
  return like(x);
}

std::tuple<Tensor, Tensor> weight_norm_interface(const Tensor& v, const Tensor& g, int64_t) {
  return {like(v), like(g)};
}
std::tuple<Tensor, Tensor> weight_norm_interface_backward(const Tensor& /*gradient*/,
                                                          const Tensor& v, const Tensor& g,
                                                          const Tensor& /*norms*/, int64_t) {
  return {like(v), like(g)};
}

Tensor prelu_kernel(const Tensor& x, const Tensor& /*weight*/) { return like(x); }
std::tuple<Tensor, Tensor> prelu_kernel_backward(const Tensor& /*gradient*/, const Tensor& x,
                                                 const Tensor& /*weight*/) {
  return {like(x), like(x)};
}

}  // namespace

struct MetaKernels::State {
  torch::Library shapes{torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__, __LINE__};
  torch::Library graph{torch::Library::IMPL, "aten", c10::DispatchKey::AutogradMeta, __FILE__,
                       __LINE__};
};

MetaKernels::MetaKernels() : state_(std::make_unique<State>()) {
  torch::Library& m = state_->shapes;
  m.impl("convolution", convolution);
  m.impl("convolution_backward", convolution_backward);
  m.impl("native_layer_norm", native_layer_norm);
  m.impl("native_layer_norm_backward", native_layer_norm_backward);
  m.impl("native_group_norm", native_group_norm);
  m.impl("native_group_norm_backward", native_group_norm_backward);
  m.impl("native_batch_norm", native_batch_norm);
  m.impl("native_batch_norm_backward", native_batch_norm_backward);
  m.impl("max_pool3d_with_indices", max_pool3d_with_indices);
  m.impl("max_pool3d_with_indices_backward", max_pool3d_with_indices_backward);
  m.impl("_adaptive_avg_pool3d", adaptive_avg_pool3d);
  m.impl("_adaptive_avg_pool3d_backward", adaptive_avg_pool3d_backward);
  m.impl("mse_loss_backward", mse_loss_backward);
  m.impl("index_select", index_select);
  m.impl("roll", roll);
  m.impl("where.self", where);
  m.impl("native_dropout", native_dropout);
  m.impl("native_dropout_backward", native_dropout_backward);
  m.impl("relu", same);
  m.impl("relu_", itself);
  m.impl("abs", same);
  m.impl("flip", flip);
  m.impl("smooth_l1_loss_backward", smooth_l1_loss_backward);
  m.impl("_weight_norm_interface", weight_norm_interface);
  m.impl("_weight_norm_interface_backward", weight_norm_interface_backward);
  m.impl("_prelu_kernel", prelu_kernel);
  m.impl("_prelu_kernel_backward", prelu_kernel_backward);
  m.impl("scaled_dot_product_attention", attention_without_graph);
  state_->graph.impl("scaled_dot_product_attention", attention_with_graph);
}

MetaKernels::~MetaKernels() = default;

}  // namespace homolog::census
