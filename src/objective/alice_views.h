// What one step of Alice looks at: plain crops, masks and the keys of its random draws, made from
// the stream's views.
#pragma once

#include "model/backbone.h"
#include "model/row_draws.h"
#include "objective/alice_plan.h"
#include "objective/objective.h"

namespace homolog::objective::alice {

struct Batch {                     // 2B rows: query rows, then key rows
  backbone::View student, target;  // the student's image is the plain crop
  model::RowDraws student_draws, target_draws;
};

// Views: "query_B1XYZ", "key_B1XYZ", with a target "target_query_B1XYZ", "target_key_B1XYZ"; a
// stream may bring masks of its own ("query_visible_B1XYZ", "key_visible_B1XYZ"), to replay a
// recorded step. Gives both sides as one batch, with the masks that are drawn. Throws Fault::Usage
// naming the view that is missing.
Views joined(const Plan& plan, const backbone::Size3& crop, const Views& views,
             const StepInfo& info, bool with_target);
bool is_joined(const Views& views);

// Of joined views, with the draws of their rows.
Batch batch_of(const Views& views, const StepInfo& info);

// Draws again, for the rows of these views, what `batch` kept (RowDraws::redraw).
void redraw(Batch& batch, const Views& views, const StepInfo& info);

}  // namespace homolog::objective::alice
