// See alice_views.h. Masks are drawn per sample and step, so rank and batch size change none.
#include "objective/alice_views.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <string>

#include "base/error.h"
#include "model/masking.h"
#include "model/row_draws.h"

namespace homolog::objective::alice {
namespace {

const at::Tensor& view(const Views& views, const std::string& name) {
  const auto found = views.tensors.find(name);
  if (found != views.tensors.end()) return found->second;
  throw Error(Fault::Usage, "objective alice: the stream gives no view \"" + name + "\"",
              "train on a store of pairs");
}

// Rows of the query, then of the key.
at::Tensor both(const Views& views, const std::string& query, const std::string& key) {
  return at::cat({view(views, query), view(views, key)});
}

// One key per row of each of two views. Validation draws the same masks every time.
std::vector<std::uint64_t> row_keys(const Views& views, const StepInfo& info, int first,
                                    int second) {
  const std::int64_t step = info.training ? info.step : -1;
  std::vector<std::uint64_t> all;
  for (const int v : {first, second})
    for (const std::uint64_t id : views.ids) all.push_back(model::row_key(id, step, v));
  return all;
}

std::vector<std::uint64_t> student_keys(const Views& views, const StepInfo& info) {
  return row_keys(views, info, 0, 1);
}
std::vector<std::uint64_t> target_keys(const Views& views, const StepInfo& info) {
  return row_keys(views, info, 2, 3);
}

// The names of one side's tensors among joined views. The share is a number on the host.
struct Names {
  const char *image, *visible, *share;
};
constexpr Names kStudent{"student_B1XYZ", "student_visible_B1XYZ", "student_visible_share"};
constexpr Names kTarget{"target_B1XYZ", "target_visible_B1XYZ", "target_visible_share"};

backbone::View view_of(const Views& views, const Names& names) {
  backbone::View view;
  const auto take = [&](const char* name, at::Tensor& to) {
    const auto found = views.tensors.find(name);
    if (found != views.tensors.end()) to = found->second;
  };
  at::Tensor share;
  take(names.image, view.image_B1XYZ);
  take(names.visible, view.visible_B1XYZ);
  take(names.share, share);
  if (share.defined()) view.visible_share = share.item<double>();
  return view;
}

}  // namespace

Views joined(const Plan& plan, const backbone::Size3& crop, const Views& views,
             const StepInfo& info, bool with_target) {
  Views out{.tensors = {}, .ids = views.ids};
  const at::Tensor image_B1XYZ = both(views, "query_B1XYZ", "key_B1XYZ");
  out.tensors[kStudent.image] = image_B1XYZ;
  const std::vector<std::uint64_t> keys = student_keys(views, info);
  const auto put = [&](const Names& names, const at::Tensor& visible_B1XYZ, double share) {
    out.tensors[names.visible] = visible_B1XYZ;
    out.tensors[names.share] = torch::full({}, share, torch::kDouble);
  };
  const auto draw = [&](const Names& names, double ratio, const std::string& purpose) {
    model::MaskPlan cells = plan.mask;
    cells.ratio = ratio;
    const auto half = keys.begin() + static_cast<std::ptrdiff_t>(views.ids.size());
    const auto side = [&](const std::string& which, auto from, auto to) {
      return model::visible_B1XYZ(cells, crop, info.seed, purpose + which,
                                  std::vector<std::uint64_t>(from, to), image_B1XYZ.device());
    };
    put(names, at::cat({side("-query", keys.begin(), half), side("-key", half, keys.end())}),
        model::visible_share(cells, crop));
  };
  if (views.tensors.count("query_visible_B1XYZ") != 0U) {
    const at::Tensor visible_B1XYZ = both(views, "query_visible_B1XYZ", "key_visible_B1XYZ");
    put(kStudent, visible_B1XYZ, visible_B1XYZ[0].mean().item<double>());
  } else if (plan.loss.lambda_reconstruction > 0 || plan.mask_student_without_mim) {
    draw(kStudent, plan.mask.ratio, "mask");
  }
  if (!with_target) return out;
  out.tensors[kTarget.image] = both(views, "target_query_B1XYZ", "target_key_B1XYZ");
  if (plan.target_mask_ratio > 0) draw(kTarget, plan.target_mask_ratio, "mask-target");
  return out;
}

bool is_joined(const Views& views) { return views.tensors.count(kStudent.image) != 0U; }

Batch batch_of(const Views& views, const StepInfo& info) {
  return {.student = view_of(views, kStudent),
          .target = view_of(views, kTarget),
          .student_draws = {info.seed, student_keys(views, info)},
          .target_draws = {info.seed, target_keys(views, info)}};
}

void redraw(Batch& batch, const Views& views, const StepInfo& info) {
  batch.student_draws.redraw(info.seed, student_keys(views, info));
  batch.target_draws.redraw(info.seed, target_keys(views, info));
}

}  // namespace homolog::objective::alice
