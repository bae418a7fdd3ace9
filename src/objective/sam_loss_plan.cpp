// Options of SAM's losses.
#include "objective/sam_loss.h"

namespace homolog::objective {
namespace {

const Rule kMm{.min = 0, .max = 1000, .unit = "mm"}, kSome{.min = 1, .max = 1e7};

void declare_fine(Options& o, SamLossPlan& p) {
  o.add("objective.sam.fine_candidates", p.fine_candidates,
        "fine cells of the overlap looked at, per view", kSome);
  o.add("objective.sam.fine_points", p.fine_points, "of them used as queries, at most", kSome);
  o.add("objective.sam.fine_positive_mm", p.fine_positive_mm,
        "a query needs a cell of the other view this near", kMm);
  o.add("objective.sam.fine_ignore_mm", p.fine_ignore_mm, "cells nearer than this are no negatives",
        kMm);
  o.add("objective.sam.fine_negatives", p.fine_negatives,
        "mined: hardest by fine + coarse similarity; random: any cells of both views",
        {.choices = {"mined", "random"}});
  o.add("objective.sam.fine_negative_candidates", p.fine_negative_candidates,
        "hardest cells to draw from (mined)", kSome);
  o.add("objective.sam.fine_negatives_used", p.fine_negatives_used, "negatives of a fine query",
        kSome);
}

void declare_coarse(Options& o, SamLossPlan& p) {
  o.add("objective.sam.coarse_positive_mm", p.coarse_positive_mm,
        "a coarse query needs a cell of the other view this near", kMm);
  o.add("objective.sam.coarse_ignore_mm", p.coarse_ignore_mm,
        "coarse cells nearer than this are no negatives", kMm);
  o.add("objective.sam.coarse_dz_mm", p.coarse_dz_mm, "and this near in z, second view to first",
        kMm);
  o.add("objective.sam.coarse_dz_first_mm", p.coarse_dz_first_mm, "the same, first view to second",
        kMm);
  o.add("objective.sam.coarse_negative_candidates", p.coarse_negative_candidates,
        "hardest coarse cells to draw from", kSome);
  o.add("objective.sam.coarse_negatives_used", p.coarse_negatives_used,
        "in-pair negatives of a coarse query", kSome);
  o.add("objective.sam.coarse_other_volumes", p.coarse_other_volumes,
        "coarse negatives from the batch's other pairs", {.min = 0, .max = 1e7});
}

}  // namespace

void declare(Options& o, SamLossPlan& p) {
  o.add("objective.sam.temperature", p.temperature, "temperature of both losses",
        {.min = 1e-3, .max = 100});
  declare_fine(o, p);
  declare_coarse(o, p);
  o.add("objective.sam.excluded", p.excluded,
        "cells inside the ignore radius: removed, or ranked as similarity 0",
        {.choices = {"removed", "zero"}});
  o.add("objective.sam.fine_weight", p.fine_weight, "weight of the fine loss",
        {.min = 0, .max = 1000});
  o.add("objective.sam.coarse_weight", p.coarse_weight, "weight of the coarse loss",
        {.min = 0, .max = 1000});
}

}  // namespace homolog::objective
