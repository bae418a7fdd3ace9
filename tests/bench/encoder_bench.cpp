// bench_encoder --backbone NAME --side N [--set KEY=VALUE]...: one step (forward, mean square of an
// output, backward) of a backbone on one thread. Prints one JSON object: processor seconds of the
// step after a warm-up, this process's largest resident memory, and how MONAI builds the network,
// which is what the peer then times.
#include <ATen/Parallel.h>
#include <sys/resource.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/run_main.h"
#include "model/build_backbone.h"

namespace {

using namespace homolog;

struct Arguments {
  std::string backbone = "nnformer", output = "reconstruction";
  std::int64_t side = 64;
  std::vector<std::string> settings;
};

double processor_seconds() {
  std::timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

backbone::Settings settings_of(const std::vector<std::string>& words) {
  backbone::Settings out;
  for (const std::string& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos)
      throw Error(Fault::Usage, word + " is no setting", "write KEY=VALUE");
    out[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return out;
}

double step(backbone::Backbone& network, const torch::Tensor& image_B1XYZ, const Arguments& a) {
  const double start = processor_seconds();
  const bool whole = a.output == "reconstruction";
  const backbone::Features out =
      network.run({.image_B1XYZ = image_B1XYZ}, {.decoder = false, .reconstruction = whole});
  const torch::Tensor& value = whole                   ? out.reconstruction_B1XYZ
                               : a.output == "encoder" ? out.encoder_BLC
                                                       : out.cls_BC;
  value.square().mean().backward();
  const double seconds = processor_seconds() - start;
  network.zero_grad();
  return seconds;
}

int body(int argc, char** argv) {
  Arguments a;
  Options options("bench_encoder", "--backbone NAME --side N [KEY=VALUE...]",
                  "One step of a backbone on one thread.");
  options.add("backbone", a.backbone, "name in the catalogue");
  options.add("side", a.side, "of the cubic crop", {.min = 16, .unit = "voxels"});
  options.add("output", a.output, "whose mean square is the loss",
              {.choices = {"reconstruction", "encoder", "cls"}});
  options.positional("KEY=VALUE", a.settings, "options of the backbone");
  if (!options.parse(argc, argv)) return 0;
  at::set_num_threads(1);
  torch::manual_seed(1);
  const double idle = peak_mib();
  const auto built = backbone::build(backbone::find(a.backbone), settings_of(a.settings),
                                     {a.side, a.side, a.side});
  built.network->eval();  // no stochastic depth; gradients flow all the same
  const torch::Tensor image = torch::rand({1, 1, a.side, a.side, a.side});
  step(*built.network, image, a);
  const double seconds = step(*built.network, image, a);
  std::int64_t parameters = 0;
  for (const auto& p : built.network->parameters()) parameters += p.numel();
  const backbone::MonaiForm monai = built.network->monai();
  const nlohmann::json result = {{"seconds", seconds},       {"peak_mib", peak_mib()},
                                 {"idle_mib", idle},         {"parameters", parameters},
                                 {"network", monai.network}, {"arguments", monai.arguments}};
  std::printf("%s\n", result.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "bench_encoder", [&] { return body(argc, argv); });
}
