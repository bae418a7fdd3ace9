// run_network WEIGHTS INPUT OUT eval|train: builds the network that a file of `homolog import`
// describes, runs INPUT's "image" in that mode and writes what comes out, every parameter's
// gradient of the sum of outputs times INPUT's "probe.OUTPUT", and the buffers after the pass; all
// in the image's type. For the comparison with MONAI.
#include <torch/types.h>
#include <torch/utils.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/run_main.h"
#include "model/build_backbone.h"
#include "model/weights/network_weights.h"

namespace {

using namespace homolog;

int body(int argc, char** argv) {
  const std::string mode = argc == 5 ? argv[4] : "";
  if (mode != "eval" && mode != "train")
    throw Error(Fault::Usage, "run_network WEIGHTS INPUT OUT eval|train");
  const model::ForeignWeights from = model::read_foreign_weights(argv[1]);
  const auto& about = from.weights.metadata;
  const model::WeightsFile input = model::read_weights(argv[2]);
  const torch::Tensor image_B1XYZ = input.tensors.at("image");
  backbone::Size3 crop{};
  for (std::size_t a = 0; a < 3; ++a) crop[a] = image_B1XYZ.size(static_cast<std::int64_t>(a) + 2);
  const auto options = nlohmann::json::parse(about.at("options")).get<backbone::Settings>();
  const auto built = backbone::build(backbone::find(about.at("backbone")), options, crop);
  backbone::Backbone& network = *built.network;
  backbone::load(network, backbone::fit(network, from, argv[1], {.crop = crop}));
  network.to(image_B1XYZ.scalar_type());
  network.train(mode == "train");

  const bool wants = input.tensors.contains("probe.reconstruction");
  const backbone::Features features =
      network.run({.image_B1XYZ = image_B1XYZ}, {.decoder = wants, .reconstruction = wants});
  std::map<std::string, torch::Tensor> outputs = {{"cls", features.cls_BC},
                                                  {"encoder", features.encoder_BLC}};
  if (wants) outputs["reconstruction"] = features.reconstruction_B1XYZ;
  model::WeightsFile out;
  torch::Tensor loss = torch::zeros({}, image_B1XYZ.options());
  for (const auto& [name, value] : outputs) {
    out.tensors["out." + name] = value.detach();
    const auto probe = input.tensors.find("probe." + name);
    if (probe != input.tensors.end()) loss = loss + (value * probe->second).sum();
  }
  loss.backward();
  for (const auto& item : network.named_parameters())
    if (item.value().grad().defined()) out.tensors["grad." + item.key()] = item.value().grad();
  for (const auto& item : network.named_buffers())
    out.tensors["buffer." + item.key()] = item.value();
  model::write_weights(argv[3], out);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return homolog::run_main(argc, argv, "run_network", [&] { return body(argc, argv); });
}
