// nnFormer, encoder and decoder, stage by stage: forward features, loss, gradient norms, index
// tables and shift masks.
#include <set>

#include "golden_kind.h"
#include "model/backbones/nnformer.h"
#include "model/blocks/window_attention.h"

namespace homolog::golden {
namespace {

using backbone::Size3;
using nlohmann::json;

// Mask of the fixture: 1 where masked, at half resolution in the plane, equal along the last axis.
torch::Tensor masked(const Fixture& fixture, const torch::Tensor& image) {
  const torch::Tensor mask_BXY = fixture.given("mask").to(torch::kFloat);
  return image * (1 - mask_BXY.repeat_interleave(2, 1).repeat_interleave(2, 2).view(
                          {image.size(0), 1, image.size(2), image.size(3), 1}));
}

struct Case {
  const Fixture& fixture;
  Size3 crop, deepest, above;  // voxels; token grids of the last stage and of the one before
  std::vector<NamedEntry> rows;
  torch::Tensor image;

  explicit Case(const Fixture& f) : fixture(f), crop(f.config().at("img_size")), rows(f.rows()) {
    for (std::size_t a = 0; a < 3; ++a) deepest[a] = crop[a] / 16, above[a] = crop[a] / 8;
    image = input(0, {f.config().at("batch").get<std::int64_t>(), 1, crop[0], crop[1], crop[2]},
                  0.5, 0.5);
  }
  std::shared_ptr<model::nnformer::NnFormer> network() const {
    const json c = fixture.config();
    model::nnformer::Plan plan;
    plan.embed = c.at("embed");
    plan.depths = c.at("depths").get<std::vector<std::int64_t>>();
    plan.heads = c.at("heads").get<std::vector<std::int64_t>>();
    plan.windows = c.at("windows").get<std::vector<std::int64_t>>();
    auto net = std::make_shared<model::nnformer::NnFormer>(plan, crop);
    EXPECT_TRUE(fill_module(*net, rows).empty());
    net->eval();
    return net;
  }
};

std::vector<torch::Tensor> expect_outputs(const Case& c, const std::string& run,
                                          const backbone::Features& out) {
  // The reference hands its decoder map on with the first and last spatial axes swapped.
  const torch::Tensor query = model::nnformer::tokens_to_map(out.encoder_BLC, c.deepest);
  const torch::Tensor anchor =
      model::nnformer::tokens_to_map(out.decoder_BLC, c.above).permute({0, 1, 3, 4, 2});
  c.fixture.expect(run + ".cls", out.cls_BC);
  c.fixture.expect(run + ".feat_query", query);
  c.fixture.expect(run + ".feat_anchor", anchor);
  c.fixture.expect(run + ".recon", out.reconstruction_B1XYZ);
  return {out.cls_BC, query, anchor, out.reconstruction_B1XYZ};
}

void check_run(const Case& c, const std::string& run, const torch::Tensor& image) {
  SCOPED_TRACE(run);
  const auto net = c.network();
  net->set_tap([&](const std::string& stage, const torch::Tensor& value) {
    if (c.fixture.has(run + "." + stage)) c.fixture.expect(run + "." + stage, value);
  });
  const auto outputs = expect_outputs(c, run, net->run({image}, {}));
  const torch::Tensor loss = probe_loss(outputs);
  c.fixture.expect(run + ".loss", loss.reshape({1}));
  loss.backward();
  c.fixture.expect(run + ".gradnorm", gradient_norms(*net, c.rows));
  for (const auto& item : net->named_parameters())
    EXPECT_EQ(item.value().grad().defined(), net->is_used(item.key(), {})) << item.key();
}

// Numbers in names like "shift_mask_16_w4".
std::vector<std::int64_t> numbers_of(const std::string& name) {
  std::vector<std::int64_t> found;
  for (std::size_t i = 0; i < name.size();) {
    if (std::isdigit(static_cast<unsigned char>(name[i])) == 0) {
      ++i;
      continue;
    }
    std::size_t used = 0;
    found.push_back(std::stoll(name.substr(i), &used));
    i += used;
  }
  return found;
}

void check_tables(const Fixture& fixture) {
  for (const std::string& name : fixture.tensors()) {
    const auto n = numbers_of(name);
    if (name.starts_with("relpos_index_w")) {
      fixture.expect(name, model::relative_index(n.at(0), false));
    } else if (name.starts_with("shift_mask_")) {
      const std::int64_t side = n.at(0), window = n.at(1);
      const model::WindowGrid grid{
          .size = {side, side, side}, .window = window, .shift = window / 2};
      fixture.expect(name, grid.shift_mask_VNN(torch::kFloat) < -50);
    }
  }
}

void check(const Fixture& fixture) {
  EXPECT_EQ(fixture.config().at("patch"), json({2, 2, 2})) << "the only patch of this network";
  const Case c(fixture);
  check_run(c, "plain", c.image);
  check_run(c, "masked", masked(fixture, c.image));
  {  // the target's way: no gradient, fused attention
    const torch::NoGradGuard no_grad;
    SCOPED_TRACE("without gradients");
    expect_outputs(c, "plain", c.network()->run({c.image}, {}));
  }
  check_tables(fixture);
}

const RegisterKind registered({"nnFormer",
                               [](const Fixture& f) {
                                 return f.config().contains("windows") &&
                                        f.config().contains("img_size");
                               },
                               check});

}  // namespace
}  // namespace homolog::golden
