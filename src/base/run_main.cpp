#include "base/run_main.h"

#include <cstdio>
#include <exception>
#include <new>
#include <string_view>

#include "base/error.h"
#include "base/log.h"
#include "build_info.h"

namespace homolog {

int run_main(int argc, char** argv, const char* program, const std::function<int()>& body) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") break;
    if (word == "--version") {
      std::printf("%s %s (%s)\n", program, HOMOLOG_VERSION, HOMOLOG_COMMIT);
      return 0;
    }
    if (word == "--build-info") {
      std::printf(
          "version   %s\ncommit    %s\nbuild     %s\ncompiler  %s\ntrainer   %s\ncuda      "
          "%s\nsanitizer %s\n",
          HOMOLOG_VERSION, HOMOLOG_COMMIT, HOMOLOG_BUILD_TYPE, HOMOLOG_COMPILER,
          HOMOLOG_WITH_TRAINER, HOMOLOG_WITH_CUDA, *HOMOLOG_SANITIZER ? HOMOLOG_SANITIZER : "none");
      return 0;
    }
  }
  try {
    return body();
  } catch (const Error& e) {
    std::fprintf(stderr, "%s: %s\n", program, e.what());
    return exit_code(e.fault());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr,
                 "%s: out of memory\n  fix: use smaller crops or batches, or a larger machine\n",
                 program);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: unexpected: %s\n", program, e.what());
  }
  return exit_code(Fault::Environment);
}

}  // namespace homolog
