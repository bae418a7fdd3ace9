// MONAI's 3D ResNet of any depth, which the names of its parameters tell: every child module's
// output, the loss and every gradient's norm.
#include "base/error.h"
#include "base/options.h"
#include "golden_kind.h"
#include "model/backbones/resnet.h"
#include "model/weights/resnet_names.h"

namespace homolog::golden {
namespace {

std::optional<backbone::Recognised> recognised(const std::vector<NamedEntry>& rows) {
  backbone::NamedTensors tensors;
  for (const NamedEntry& row : rows) tensors.emplace(row.name, torch::empty(row.shape));
  return model::resnet::recognise(tensors);
}

bool is_resnet(const Fixture& fixture) {
  if (!fixture.config().contains("input")) return false;
  try {
    return recognised(fixture.rows()).has_value();
  } catch (const Error&) {  // no list of names
    return false;
  }
}

model::resnet::Plan plan_of(const Fixture& fixture) {
  model::resnet::Plan plan;
  Options options("golden", "", "");
  model::resnet::declare(options, plan);
  std::vector<std::string> words{"golden"};
  const auto rows = fixture.rows();
  const auto found = recognised(rows);
  for (const auto& [key, value] : found->options) words.insert(words.end(), {"--" + key, value});
  for (const NamedEntry& row : rows)
    if (row.name == "fc.bias") plan.classes = row.shape.at(0);
  std::vector<const char*> pointers;
  for (const std::string& word : words) pointers.push_back(word.c_str());
  EXPECT_TRUE(options.parse(static_cast<int>(pointers.size()), pointers.data()));
  plan.inputs = fixture.config().at("input").at(1).get<std::int64_t>();
  return plan;
}

void check_resnet(const Fixture& fixture) {
  const auto rows = fixture.rows();
  const auto plan = plan_of(fixture);
  model::resnet::ResNet network(plan, {32, 32, 32});  // MONAI's part takes any size
  EXPECT_TRUE(fill_module(network, rows).empty()) << "names that our network lacks";
  network.eval();
  network.set_tap([&](const std::string& module, const torch::Tensor& value) {
    if (fixture.has("mod." + module)) fixture.expect("mod." + module, value);
  });
  const auto shape = fixture.config().at("input").get<std::vector<std::int64_t>>();
  const torch::Tensor image = input(0, shape);
  const torch::Tensor out =
      plan.classes > 0 ? network.classify(image)
                       : network.run({image}, {.decoder = false, .reconstruction = false}).cls_BC;
  fixture.expect("out", out);
  const torch::Tensor loss = probe_loss({out});
  fixture.expect("loss", loss.reshape({1}));
  loss.backward();
  fixture.expect("gradnorm", gradient_norms(network, rows));
}

const RegisterKind registered{{"ResNet", is_resnet, check_resnet}};

}  // namespace
}  // namespace homolog::golden
