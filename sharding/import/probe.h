// Try work in child processes first. The distribution's GDCM keeps its assertions, so a damaged
// DICOM file aborts the process that reads it: here that costs a child, and the file gets its line.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace homolog::import {

// Runs body(i) for each i below `count`, in at most `jobs` children at a time, many indices a
// child; what it throws does not matter. Returns per index whether it ended at all: false where it
// crashed or ran past `seconds`. Call while no other thread runs. Throws Fault::Stopped after a
// signal.
std::vector<char> survivors(std::size_t count, int jobs,
                            const std::function<void(std::size_t)>& body, unsigned seconds = 120);

}  // namespace homolog::import
