// Which patches of a masked view are seen, found without asking the device: every row has the same
// number of them, known on the host.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/backbone.h"

namespace homolog::model {

class VisiblePatches {
 public:
  // All patches where the view has no mask. Throws Fault::Usage: a share of no whole number of
  // patches, none at all; on the host also masks that cut a patch and rows of other counts.
  VisiblePatches(const backbone::View& view, const backbone::Size3& grid, std::int64_t patch);

  bool all() const { return !rows_N_.defined(); }
  // Of (B, L, C) those seen, in order: (B, n, C).
  at::Tensor pick(const at::Tensor& tokens_BLC) const;
  // The reverse; other places hold `filler_11C`: (B, n, C) -> (B, L, C).
  at::Tensor put_back(const at::Tensor& seen_BNC, const at::Tensor& filler_11C) const;

 private:
  std::int64_t tokens_;
  at::Tensor rows_N_;  // of (B*L, C); undefined: all
};

}  // namespace homolog::model
