// homolog-export: the encoder's weights of a run or checkpoint (SAM: the whole network's) as one
// safetensors file.
#include <torch/types.h>
#include <torch/utils.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/options.h"
#include "base/run_main.h"
#include "train/exported_weights.h"

namespace {

using namespace homolog;

void print_report(const std::filesystem::path& out, const train::ExportPlan& plan,
                  const model::WeightsFile& weights, bool as_json) {
  std::int64_t numbers = 0;
  for (const auto& [name, tensor] : weights.tensors) numbers += tensor.numel();
  const auto& about = weights.metadata;
  if (as_json) {
    nlohmann::json report = {{"out", out.string()},
                             {"tensors", weights.tensors.size()},
                             {"parameters", numbers},
                             {"contents", about.at("contents")},
                             {"layout", plan.layout},
                             {"which", plan.which},
                             {"step", std::stoll(about.at("step"))},
                             {"weights_xxh3", about.at("weights_xxh3")}};
    for (const char* key : {"monai.network", "monai.arguments"})
      if (about.contains(key)) report[key] = about.at(key);
    if (about.contains("hint")) report["hint"] = about.at("hint");
    std::printf("%s\n", report.dump().c_str());
  } else {
    const std::string objective =
        about.contains("trained.objective") ? " of " + about.at("trained.objective") : "";
    std::printf("%s: %s%s, %zu tensors, %lld parameters, %s network after step %s, %s names\n",
                out.c_str(), about.at("contents").c_str(), objective.c_str(),
                weights.tensors.size(), static_cast<long long>(numbers), plan.which.c_str(),
                about.at("step").c_str(), plan.layout.c_str());
    if (about.contains("hint")) std::printf("  hint: %s\n", about.at("hint").c_str());
  }
}

int body(int argc, char** argv) {
  Options options(
      "homolog export",
      "CHECKPOINT|RUN --out weights.safetensors [--layout native|reference|monai|monai-unetr]",
      "Writes the pre-trained encoder's weights (of a SAM run the whole network's), "
      "readable with the Python package safetensors.");
  std::vector<std::string> words;
  train::ExportPlan plan;
  std::filesystem::path out;
  bool as_json = false;
  options.positional("CHECKPOINT|RUN", words,
                     "a checkpoint folder, or a run folder (its newest whole checkpoint)");
  options.add("out", out, "file to write", {.required = true});
  options.add("layout", plan.layout,
              "names: the network's own (the public nnFormer's), as in checkpoints, as MONAI loads "
              "them, or a ViT as MONAI's UNETR names it",
              {.choices = {"reference", "native", "monai", "monai-unetr"}});
  options.add("which", plan.which, "trained network, or its moving average",
              {.choices = {"online", "target"}});
  options.add("best", plan.best, "of a run: the checkpoint with the best validation");
  options.add("full", plan.full, "all tensors: heads and output layers too");
  options.add("json", as_json, "report as JSON");
  if (!options.parse(argc, argv)) return 0;
  if (words.size() != 1)
    throw Error(Fault::Usage, "give one run or checkpoint folder", "see homolog export --help");
  plan.source = words.front();

  const model::WeightsFile weights = train::exported_weights(plan);
  model::write_weights(out, weights);
  print_report(out, plan, weights, as_json);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "homolog-export", [&] { return body(argc, argv); });
}
