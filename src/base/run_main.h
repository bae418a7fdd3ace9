// Every program's main(): runs the body and turns a fault into a message and its exit code.
#pragma once

#include <functional>

namespace homolog {

// Prints "PROGRAM: WHAT\n  fix: ...". Other exceptions (a library's) end in Fault::Environment,
// out of memory included. Also answers --version and --build-info before the body runs.
int run_main(int argc, char** argv, const char* program, const std::function<int()>& body);

}  // namespace homolog
