// homolog-bench: for users' own hardware, how fast training's parts are. Each command is a file in
// bench/.
#include <cstdio>
#include <string>
#include <vector>

#include "apps/bench/commands.h"
#include "base/error.h"
#include "base/options.h"
#include "base/run_main.h"

namespace {

constexpr struct {
  const char* name;
  int (*run)(int, char**);
  const char* summary;
} kCommands[] = {
    {"step", homolog::bench::run_step, "a training step of a configuration, on synthetic views"},
    {"allreduce", homolog::bench::run_all_reduce, "summing gradients over the ranks, by size"},
    {"update", homolog::bench::run_update, "clip, AdamW and EMA in one pass"},
};

int body(int argc, char** argv) {
  const std::string word = argc > 1 ? argv[1] : "--help";
  std::vector<std::string> names;
  for (const auto& command : kCommands) {
    if (word == command.name) return command.run(argc - 1, argv + 1);
    names.emplace_back(command.name);
  }
  if (word != "--help" && word != "-h") {
    const std::string near = homolog::nearest_word(word, names);
    throw homolog::Error(
        homolog::Fault::Usage, "homolog bench has no command '" + word + "'",
        near.empty() ? "use step, allreduce or update" : "did you mean " + near + "?");
  }
  std::printf("usage: homolog bench COMMAND   (each has --help)\n\n");
  for (const auto& command : kCommands) std::printf("  %-10s %s\n", command.name, command.summary);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "homolog-bench", [&] { return body(argc, argv); });
}
