// What .cu files, which are C++17 and know no Error, throw.
#pragma once

namespace homolog {

// Throws Fault::Environment. `what` failed for `reason`, as CUDA words it.
[[noreturn]] void throw_cuda_fault(const char* what, const char* reason);

}  // namespace homolog
