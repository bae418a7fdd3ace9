// SAM: anatomical embeddings from two views of one body (method.md 7). Online network only, no
// target.
#include <ATen/ops/cat.h>

#include <unordered_map>

#include "base/counter_rng.h"
#include "model/sam_net.h"
#include "objective/objective_entry.h"
#include "objective/sam_loss.h"

namespace homolog::objective::sam {
namespace {

// The first k of a random order of 0..n-1, without writing down the order.
torch::Tensor draw(CounterRng& rng, std::int64_t n, std::int64_t k) {
  k = std::min(n, k);
  std::unordered_map<std::int64_t, std::int64_t> moved;
  torch::Tensor chosen = torch::empty({k}, torch::kLong);
  auto* out = chosen.mutable_data_ptr<std::int64_t>();
  const auto at = [&](std::int64_t i) {
    const auto found = moved.find(i);
    return found == moved.end() ? i : found->second;
  };
  for (std::int64_t i = 0; i < k; ++i) {
    const std::int64_t j =
        i + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(n - i)));
    out[i] = at(j);
    moved[j] = at(i);
  }
  return chosen;
}

class Sam : public Objective {
 public:
  Sam(const model::SamNetPlan& net, const SamLossPlan& loss)
      : net_(std::make_shared<model::SamNet>(net)), plan_(loss) {}

  torch::nn::Module& online() override { return *net_; }
  torch::nn::Module* target() override { return nullptr; }
  std::string exported_prefix() const override { return ""; }
  bool is_exported(const std::string&) const override { return true; }
  void set_activations(model::Activations which) override { net_->set_activations(which); }
  // Decay acts on everything, norms and biases too (method.md 7.4).
  ParameterRule rule(const std::string&, const torch::Tensor&) const override { return {}; }

  // Views: first_B1ZYX, second_B1ZYX, *_grid_B3ZYX, *_valid_B1ZYX (data/volume_stream.h).
  Loss evaluate(const Views& views, const StepInfo& info) override {
    const torch::Tensor& first = views.at("first_B1ZYX");
    const std::int64_t pairs = first.size(0);
    const model::SamMaps maps = embed(at::cat({first, views.at("second_B1ZYX")}));
    torch::Tensor fine = torch::zeros({}, first.options()),
                  coarse = torch::zeros({}, first.options());
    for (std::int64_t i = 0; i < pairs; ++i) {
      CounterRng rng(info.seed, "sam.points", views.ids.at(static_cast<std::size_t>(i)));
      const Draw choose = [&rng](std::int64_t n, std::int64_t k) { return draw(rng, n, k); };
      const SamView one = view(views, maps, "first", i, i),
                    two = view(views, maps, "second", i, i + pairs);
      fine = fine + sam_fine_loss(one, two, plan_, choose);
      coarse = coarse + sam_coarse_loss(one, two, other_pairs(maps.coarse_BCZYX, i), plan_, choose);
    }
    fine = fine * (plan_.fine_weight / static_cast<double>(pairs));
    coarse = coarse * (plan_.coarse_weight / static_cast<double>(pairs));
    return {fine + coarse, {{"fine", fine.detach()}, {"coarse", coarse.detach()}}, {}};
  }

 private:
  model::SamMaps embed(const torch::Tensor& images_B1ZYX) {  // unit vectors in float32
    const model::Autocast network(precision(), images_B1ZYX.device().type());
    return net_->forward(images_B1ZYX);
  }
  static SamView view(const Views& views, const model::SamMaps& maps, const std::string& name,
                      std::int64_t pair, std::int64_t row) {
    return sam_view(maps.fine_BCZYX[row], maps.coarse_BCZYX[row],
                    views.at(name + "_grid_B3ZYX")[pair], views.at(name + "_valid_B1ZYX")[pair]);
  }
  // Coarse vectors of all pairs but `pair`, [cells, C]; rows i and i + pairs belong together.
  static torch::Tensor other_pairs(const torch::Tensor& coarse_BCZYX, std::int64_t pair) {
    const std::int64_t pairs = coarse_BCZYX.size(0) / 2;
    std::vector<torch::Tensor> parts = {coarse_BCZYX.new_empty({0, coarse_BCZYX.size(1)})};
    for (std::int64_t j = 0; j < pairs; ++j) {
      if (j == pair) continue;
      parts.push_back(coarse_BCZYX[j].flatten(1).t());
      parts.push_back(coarse_BCZYX[j + pairs].flatten(1).t());
    }
    return at::cat(parts);
  }

  std::shared_ptr<model::SamNet> net_;
  SamLossPlan plan_;
};

class SamFactory : public Factory {
 public:
  void declare(Options& options) override {
    model::declare(options, net_);
    objective::declare(options, loss_);
  }
  std::unique_ptr<Objective> make(const backbone::Factory&, const backbone::Size3&) const override {
    model::validate(net_);
    return std::make_unique<Sam>(net_, loss_);
  }
  backbone::Size3 cell() const override {
    model::validate(net_);
    const auto& zyx = net_.coarse_stride;
    return {zyx[2], zyx[1], zyx[0]};
  }

 private:
  model::SamNetPlan net_;
  SamLossPlan loss_;
};

}  // namespace

extern const Entry entry = {"sam", "anatomical embeddings from two views of a volume",
                            [] { return std::unique_ptr<Factory>(new SamFactory); },
                            "homolog sam train", 6};

}  // namespace homolog::objective::sam
