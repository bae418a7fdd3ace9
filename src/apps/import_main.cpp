// homolog-import: weights that others trained, as a file that homolog trains from and embeds with.
// Composes reader, networks and SAM; all rules are in the libraries.
#include <torch/types.h>
#include <torch/utils.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/ini.h"
#include "base/options.h"
#include "base/run_main.h"
#include "model/crop_text.h"
#include "model/weights/file_words.h"
#include "model/weights/import_network.h"
#include "sharding/match/sam_weights.h"

namespace {

using namespace homolog;
using nlohmann::ordered_json;

struct Arguments {
  std::filesystem::path in, out;
  std::string backbone = "auto", kind = "auto", part;
  std::vector<std::int64_t> crop;
  bool json = false;
  model::SamNetPlan sam;
};

// What the command line sets of networks' own options.
backbone::Settings given_options(const Options& options) {
  backbone::Settings given;
  for (const auto& [key, value] : flat_settings(options.dump()))
    if (key.starts_with("model.") && options.was_set(key)) given[key] = value;
  return given;
}

void print(const ordered_json& report, bool as_json) {
  if (as_json) {
    std::printf("%s\n",
                report.dump(-1, ' ', false, ordered_json::error_handler_t::replace).c_str());
    return;
  }
  for (const auto& [key, value] : report.items()) {
    if (!value.is_array() && !value.is_object()) {
      std::printf("%-11s %s\n", key.c_str(),
                  value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
      continue;
    }
    if (!value.empty()) std::printf("%s\n", key.c_str());
    for (const auto& [name, item] : value.items()) {
      const std::string text = item.get<std::string>();
      std::printf("  %s\n", value.is_array() ? text.c_str() : (name + " = " + text).c_str());
    }
  }
}

// As it may stand in metadata and messages.
std::string file_name(const Arguments& a) { return model::printable(a.in.filename().string()); }

std::int64_t numbers_in(const std::map<std::string, torch::Tensor>& tensors) {
  std::int64_t numbers = 0;
  for (const auto& [name, tensor] : tensors) numbers += tensor.numel();
  return numbers;
}

ordered_json import_sam(const model::ForeignWeights& from, const Arguments& a,
                        const Options& given) {
  const match::SamWeights sam = match::published_sam(from, a.sam, file_name(a));
  const std::string hash = match::write_sam_weights(a.out, sam);
  ordered_json options;
  for (const auto& [key, value] : model::to_metadata(sam.net)) options[key] = value;
  std::vector<std::string> notes = from.notes;
  if (!given.was_set("objective.sam.coarse_stride"))
    notes.push_back("shapes do not tell the coarse stride: taken as " +
                    options.at("sam.coarse_stride").get<std::string>() +
                    "; else give --set objective.sam.coarse_stride=Z,Y,X");
  return {{"out", a.out.string()},
          {"kind", "sam"},
          {"container", from.container},
          {"tensors", sam.tensors.size()},
          {"parameters", numbers_in(sam.tensors)},
          {"spacing_mm", sam.spacing_mm},
          {"hash", hash},
          {"options", options},
          {"notes", notes}};
}

ordered_json import_network(const model::ForeignWeights& from, const Arguments& a,
                            const Options& options) {
  backbone::ImportPlan plan{.backbone = a.backbone == "auto" ? "" : a.backbone,
                            .options = given_options(options)};
  if (!a.crop.empty()) plan.crop = {a.crop[0], a.crop[1], a.crop[2]};
  const auto network = backbone::import_network(from, plan, file_name(a));
  const model::WeightsFile file = backbone::native_file(network);
  model::write_weights(a.out, file);
  const bool any = network.crop[0] <= 0;
  return {{"out", a.out.string()},
          {"kind", "network"},
          {"backbone", network.backbone},
          {"contents", file.metadata.at("contents")},
          {"container", from.container},
          {"tensors", file.tensors.size()},
          {"parameters", numbers_in(file.tensors)},
          {"crop", any ? "any" : backbone::crop_text(network.crop)},
          {"weights_xxh3", file.metadata.at("weights_xxh3")},
          {"options", network.options},
          {"left_out", network.weights.left_out},
          {"absent", network.weights.absent},
          {"notes", network.weights.notes}};
}

int body(int argc, char** argv) {
  Options options("homolog import", "WEIGHTS --out FILE [--set model.NAME.key=value ...]",
                  "Takes published weights (MONAI's networks, nnFormer, SAM) from .safetensors, "
                  ".pt or .pth; names and shapes are checked, pickles are never run.");
  Arguments a;
  std::vector<std::string> words;
  std::vector<std::string> names = {"auto"};
  options.positional("WEIGHTS", words, "file to read");
  options.add("out", a.out, "safetensors file to write", {.required = true});
  options.add("kind", a.kind, "what the weights are of", {.choices = {"auto", "network", "sam"}});
  std::vector<std::unique_ptr<backbone::Factory>> factories;
  for (const auto* entry : backbone::catalog()) names.emplace_back(entry->name);
  options.add("backbone", a.backbone, "network; auto: by the names of the weights",
              {.choices = names});
  for (const auto* entry : backbone::catalog()) {
    factories.push_back(entry->factory());
    factories.back()->declare(options);
  }
  model::declare(options, a.sam);
  options.add("crop", a.crop, "X,Y,Z that the network was made for; else by its position table",
              {.min = 1, .unit = "voxels"});
  options.add("part", a.part, "key of a checkpoint that holds the state dict; else the usual ones");
  options.add("json", a.json, "report as JSON");
  if (!options.parse(argc, argv)) return 0;
  if (words.size() != 1)
    throw Error(Fault::Usage, "give one file of weights", "see homolog import --help");
  if (!a.crop.empty() && a.crop.size() != 3)
    throw Error(Fault::Usage, "--crop takes three sides", "write for instance --crop 96,96,96");
  a.in = words.front();

  std::error_code apart;
  if (std::filesystem::equivalent(a.in, a.out, apart))
    throw Error(Fault::Usage, "--out " + a.out.string() + " is the file that is read",
                "give another name: what is imported stays as it is");
  const model::ForeignWeights from = model::read_foreign_weights(a.in, a.part);
  const bool sam = a.kind == "sam" || (a.kind == "auto" && a.backbone == "auto" &&
                                       match::is_published_sam(from.weights.tensors));
  if (sam && !match::is_published_sam(from.weights.tensors)) {
    if (const std::string name = backbone::network_named(from.weights.tensors); !name.empty())
      throw Error(Fault::Data, file_name(a) + " holds weights of " + name + ", not of SAM",
                  "leave --kind sam out");
  }
  print(sam ? import_sam(from, a, options) : import_network(from, a, options), a.json);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "homolog-import", [&] { return body(argc, argv); });
}
