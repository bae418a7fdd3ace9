// homolog store: what can be done with a pair store, without LibTorch. A file in store/ for each
// command.
#include <cstdio>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/open_files.h"
#include "base/options.h"
#include "base/run_main.h"
#include "sharding/apps/store/command.h"

namespace homolog {
namespace {

struct Command {
  const char *name, *summary;
  int (*run)(int, char**);
};
constexpr Command kCommands[] = {
    {"inspect", "what a store is: crops, window, sizes, settings, splits", store_app::inspect},
    {"verify", "compare every checksum and rule; exit 3 when anything differs", store_app::verify},
    {"stats", "scores, studies per landmark, body coverage, HU, compression", store_app::stats},
    {"preview", "pairs to look at: one PNG or one HTML page", store_app::preview},
    {"bench", "pairs/s and GB/s on this machine, against decoding and the disk", store_app::bench},
    {"stage", "copy shards to this node's own disk", store_app::stage},
};

void print_help(std::FILE* to) {
  std::fprintf(to, "usage: homolog store COMMAND STORE [options]   (each command has --help)\n\n");
  for (const Command& command : kCommands)
    std::fprintf(to, "  %-8s %s\n", command.name, command.summary);
}

int store_main(int argc, char** argv) {
  if (argc < 2) {
    print_help(stderr);
    throw Error(Fault::Usage, "no command is named", "name one of those above, and a store");
  }
  const std::string word = argv[1];
  if (word == "--help" || word == "-h") {
    print_help(stdout);
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    if (word == command.name) return command.run(argc - 1, argv + 1);
    names.emplace_back(command.name);
  }
  const std::string near = nearest_word(word, names);
  throw Error(Fault::Usage, "homolog store has no command '" + word + "'",
              near.empty() ? "write the command first: homolog store inspect | verify | stats | "
                             "preview | bench | stage STORE"
                           : "did you mean " + near + "?");
}

}  // namespace
}  // namespace homolog

int main(int argc, char** argv) {
  homolog::allow_many_open_files();
  return homolog::run_main(argc, argv, "homolog store", [&] {
    const int code = homolog::store_main(argc, argv);
    homolog::store_app::require_printed();
    return code;
  });
}
