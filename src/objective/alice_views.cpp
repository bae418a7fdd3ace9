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

// One key per row of each of two views.
std::vector<std::uint64_t> row_keys(const Views& views, std::int64_t step, int first, int second) {
  std::vector<std::uint64_t> all;
  for (const int v : {first, second})
    for (const std::uint64_t id : views.ids) all.push_back(model::row_key(id, step, v));
  return all;
}

}  // namespace

Batch prepare(const Plan& plan, const backbone::Size3& crop, const Views& views,
              const StepInfo& info, bool with_target) {
  Batch out;
  out.student.image_B1XYZ = both(views, "query_B1XYZ", "key_B1XYZ");
  // Validation draws the same masks every time.
  const std::int64_t step = info.training ? info.step : -1;
  out.student_keys = row_keys(views, step, 0, 1);
  out.target_keys = row_keys(views, step, 2, 3);
  const auto mask = [&](backbone::View& seen, double ratio, const std::string& purpose) {
    model::MaskPlan cells = plan.mask;
    cells.ratio = ratio;
    const auto half = out.student_keys.begin() + static_cast<std::ptrdiff_t>(views.ids.size());
    const auto draw = [&](const std::string& which, auto from, auto to) {
      return model::visible_B1XYZ(cells, crop, info.seed, purpose + which,
                                  std::vector<std::uint64_t>(from, to), seen.image_B1XYZ.device());
    };
    seen.visible_B1XYZ = at::cat({draw("-query", out.student_keys.begin(), half),
                                  draw("-key", half, out.student_keys.end())});
    seen.visible_share = model::visible_share(cells, crop);
  };
  if (views.tensors.count("query_visible_B1XYZ") != 0U) {
    out.student.visible_B1XYZ = both(views, "query_visible_B1XYZ", "key_visible_B1XYZ");
    out.student.visible_share = out.student.visible_B1XYZ[0].mean().item<double>();
  } else if (plan.loss.lambda_reconstruction > 0 || plan.mask_student_without_mim) {
    mask(out.student, plan.mask.ratio, "mask");
  }
  if (!with_target) return out;
  out.target.image_B1XYZ = both(views, "target_query_B1XYZ", "target_key_B1XYZ");
  if (plan.target_mask_ratio > 0) mask(out.target, plan.target_mask_ratio, "mask-target");
  return out;
}

}  // namespace homolog::objective::alice
