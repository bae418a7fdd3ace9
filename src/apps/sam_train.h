// homolog sam train: catalogue in, weights out; the engine that trains is the one of homolog-train.
#pragma once

namespace homolog {

// `argv[0]` is the word "train". Returns the exit code.
int run_sam_train(int argc, char** argv);

}  // namespace homolog
