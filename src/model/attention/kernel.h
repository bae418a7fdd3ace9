// Window attention on plain pointers: what one call computes, and the kernels that compute it, one
// for each width of a processor's vectors. No Torch here: these files are compiled for processors
// newer than the one that runs, and may share no inline function with the rest.
//
//   score = scale * q k^T + bias + mask,  p = softmax(score),  out = p v      per window and head
//
// A panel is 2 * lanes tokens side by side, as many as two vectors hold. Tokens are padded to whole
// panels. Scores are kept times log2(e), so that the exponential is a power of two.
#pragma once

#include <cstddef>
#include <cstdint>

namespace homolog::model::attention {

inline constexpr int kMostChannels = 64;  // of a head

// Rows of channels, adjacent in memory, addressed by window, token and head; strides in elements.
template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t window = 0, token = 0, head = 0;
};

// One bit per score: whether `value` is added to it. Window w reads the bits of window
// w % windows; a word holds the bits of one panel.
struct MaskBits {
  const std::uint32_t* of_queries = nullptr;  // (windows, panel of queries, key)
  const std::uint32_t* of_keys = nullptr;     // (windows, panel of keys, query); backward only
  const std::uint8_t* any = nullptr;          // (windows): 0 where no bit is set
  float value = 0;                            // times log2(e)
  int windows = 0;                            // 0: no mask
};

// 2^x on [-1/2, 1/2] as a polynomial (largest relative error 9e-8), and the constants around it. A
// field of the problem, not of the code: compilers would read known constants from memory each
// time. Below 2^least, nothing beside a sum of at least 1, powers stay there: products with smaller
// ones would be denormal, which some processors are slow at.
struct Exp2Terms {
  float least = -100, round = 12582912;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  float c[6] = {1.0F,           0.6931469776F,   0.2402224208F,
                0.05550733744F, 0.009671512715F, 0.001326472729F};
};

struct Problem {
  int heads = 0, tokens = 0, channels = 0;
  int padded = 0;   // tokens in whole panels
  float scale = 0;  // of q k^T, times log2(e)
  Exp2Terms exp2;
  Rows<const float> q, k, v;
  MaskBits mask;
  // As panels_of_bias() leaves them, head after head, each padded * padded.
  const float *bias_of_queries = nullptr, *bias_of_keys = nullptr;
  Rows<float> out;
  float* softmax =
      nullptr;  // (window, head, 2, padded): largest score and sum; may be null forward
  Rows<const float> out_gradient;
  Rows<float> q_gradient, k_gradient, v_gradient;
};

struct Part {
  int window_begin = 0, window_end = 0, head_begin = 0, head_end = 0;
};

struct Kernel {
  const char* name;
  int lanes;
  // Floats of scratch that a call of forward or backward needs.
  std::size_t (*scratch)(const Problem&);
  // One head's bias (tokens, tokens), row by row, as panels: of queries (panel, key, lane), for
  // forward, or of keys (panel, query, lane), for backward. Padded keys get a score that counts for
  // nothing.
  void (*panels_of_bias)(const float* bias_NN, int tokens, bool of_queries, float* to);
  // Writes out, and softmax if given.
  void (*forward)(const Problem&, const Part&, float* scratch);
  // Reads out and softmax; writes the gradients of q, k, v and adds that of the bias to
  // `bias_gradient`: for each head of the part, panels of keys.
  void (*backward)(const Problem&, const Part&, float* scratch, float* bias_gradient);
};

extern const Kernel kBaselineKernel, kAvx2Kernel, kAvx512Kernel;

// The widest that this processor runs.
const Kernel& kernel_here();

// `tokens` rounded up to whole panels.
int padded_tokens(const Kernel& kernel, int tokens);

}  // namespace homolog::model::attention
