// What one step of Alice looks at: plain crops, masks and the keys of its random draws, made from
// the stream's views.
#pragma once

#include <cstdint>
#include <vector>

#include "model/backbone.h"
#include "objective/alice_plan.h"
#include "objective/objective.h"

namespace homolog::objective::alice {

struct Batch {                                           // 2B rows: query rows, then key rows
  backbone::View student, target;                        // the student's image is the plain crop
  std::vector<std::uint64_t> student_keys, target_keys;  // one per row, for model::RowDraws
};

// Views: "query_B1XYZ", "key_B1XYZ", with a target "target_query_B1XYZ", "target_key_B1XYZ"; a
// stream may bring masks of its own ("query_visible_B1XYZ", "key_visible_B1XYZ"), to replay a
// recorded step. Throws Fault::Usage naming the view that is missing.
Batch prepare(const Plan& plan, const backbone::Size3& crop, const Views& views,
              const StepInfo& info, bool with_target);

}  // namespace homolog::objective::alice
