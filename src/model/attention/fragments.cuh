// What each of a warp's 32 threads holds of the matrices that it multiplies (tensor_core.cuh), with
// g = lane / 4 and t = lane % 4. PTX ISA, "Matrix Fragments for mma.m16n8k16".
#pragma once

namespace homolog {
namespace model {
namespace attention {

// Of 16 x 16, two neighbours of a row each: from (g, 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t +
// 8).
struct Rows16 {
  unsigned pair[4];
};

// Of 16 x 8, two neighbours of a column each: from (2t, g), (2t + 8, g).
struct Columns8 {
  unsigned pair[2];
};

// Of 16 x 8: (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
struct Sums16x8 {
  float at[4];
};

}  // namespace attention
}  // namespace model
}  // namespace homolog
