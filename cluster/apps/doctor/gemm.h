// Matrix products by Torch, as training's are: how many operations a second this rank does.
#pragma once

#include "cluster/doctor/rank_facts.h"

namespace homolog::doctor {

int compute_threads();        // that Torch uses on this rank
std::string torch_version();  // "2.11.0"
// Of the GPU that the rank at `local_index` of `local_size` on its host would use; -1: none.
int gpu_index(int local_index, int local_size);

// Products of square matrices for `seconds`, on GPU `gpu`, or on the CPU with all the threads for
// -1. Numbers "gflops" (float32; TF32 on a GPU, as training's default) and "bf16_gflops" (GPU);
// the clocks of machine.h, read while it computes. `pci` as in read_gpu_clocks().
Measured measure_gemm(int gpu, const std::string& pci, double seconds);

}  // namespace homolog::doctor
