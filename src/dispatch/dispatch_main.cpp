// homolog: a thin dispatcher like git. `homolog X` runs the program homolog-X that lies beside it.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/options.h"
#include "base/run_main.h"

namespace {

struct Command {
  const char *name, *summary;
};
constexpr Command kCommands[] = {
    {"catalog", "find the CT scans in folders, say of the rest why not"},
    {"phantom", "make synthetic CT bodies with labels and true landmarks"},
    {"sam", "landmarks: train SAM, embed volumes, match points, picture of a match"},
    {"shard", "matched points -> crops -> sharded HDF5 pair store"},
    {"store", "look into a pair store: verify, statistics, pictures, speed, staging"},
    {"plan", "memory, step time, traffic and hours of a run, before it is submitted"},
    {"launch", "start the workers and the monitor of a run"},
    {"train", "one worker; launch starts it, it also runs alone"},
    {"monitor", "Prometheus metrics and the live page of a run"},
    {"report", "what happened in a run: curves, where time went, advice"},
    {"export", "the encoder's weights as safetensors"},
    {"import", "weights of MONAI's networks, nnFormer or SAM, names checked"},
    {"doctor", "is this machine, allocation, network fit to train on"},
    {"bench", "speed of a training step, of all-reduce and of the update on this hardware"},
    {"evaluate", "landmark error against known truth"},
};

std::filesystem::path own_folder() {
  std::error_code code;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", code);
  if (code)
    throw homolog::Error(homolog::Fault::Environment, "cannot find the folder of this program");
  return self.parent_path();
}

void print_help() {
  std::printf(
      "usage: homolog COMMAND [options]\n\nSelf-supervised pre-training of 3D CT encoders on "
      "matched anatomy.\n\n");
  for (const Command& command : kCommands)
    std::printf("  %-9s %s\n", command.name, command.summary);
  std::printf(
      "\nhomolog COMMAND --help shows a command's options. homolog --version, --build-info\n");
}

int dispatch(int argc, char** argv) {
  const std::string word = argc > 1 ? argv[1] : "--help";
  if (word == "help" && argc > 2) {  // homolog help X: homolog X --help
    std::string command = argv[2], help = "--help";
    char* words[] = {argv[0], command.data(), help.data(), nullptr};
    return dispatch(3, words);
  }
  if (word == "--help" || word == "help" || word == "-h") {
    print_help();
    return 0;
  }
  std::vector<std::string> names;
  bool known = false;
  for (const Command& command : kCommands) {
    names.push_back(command.name);
    known = known || word == command.name;
  }
  if (!known) {
    const std::string near = homolog::nearest_word(word, names);
    throw homolog::Error(
        homolog::Fault::Usage, "unknown command '" + word + "'",
        near.empty() ? "homolog --help lists the commands" : "did you mean " + near + "?");
  }
  const auto program = own_folder() / ("homolog-" + word);
  if (!std::filesystem::exists(program)) {
    throw homolog::Error(
        homolog::Fault::Environment, "homolog " + word + " is not part of this build",
        "build it with ./run build (the preset `tools` holds only the tools without LibTorch)");
  }
  argv[1] = const_cast<char*>(program.c_str());
  ::execv(program.c_str(), argv + 1);
  throw homolog::Error(homolog::Fault::Environment,
                       "cannot start " + program.string() + ": " + std::strerror(errno));
}

}  // namespace

int main(int argc, char** argv) {
  // Only the dispatcher's own --version; a command's words are its own.
  const bool own =
      argc > 1 && (std::string(argv[1]) == "--version" || std::string(argv[1]) == "--build-info");
  return homolog::run_main(own ? 2 : 1, argv, "homolog", [&] { return dispatch(argc, argv); });
}
