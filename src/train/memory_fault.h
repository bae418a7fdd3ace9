// Memory that runs out in the middle of training, told so that the user knows what to lower.
#pragma once

namespace homolog::train {

// To be called in a catch block. Throws what is being handled again: as Fault::Environment with a
// remedy where Torch, CUDA or the allocator had no memory left, else as it is.
[[noreturn]] void rethrow_with_remedy_for_memory();

}  // namespace homolog::train
