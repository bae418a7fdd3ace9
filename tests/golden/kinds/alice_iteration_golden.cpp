// Whole iterations of Alice as the trainer runs them (objective, arena, reducer, optimiser), in the
// reference code's arrangement as its recipe gives it: outputs, losses, centres, gradients before
// and after clipping, weights and target after the update.
#include "alice_case.h"
#include "cluster/comm/communicator.h"
#include "golden_kind.h"
#include "model/blocks/nnformer_blocks.h"
#include "objective/alice_network.h"
#include "train/bucket_reducer.h"
#include "train/gradient_arena.h"
#include "train/optimizer.h"

namespace homolog::golden {
namespace {

using backbone::Size3;
using nlohmann::json;
using Tensors = std::map<std::string, torch::Tensor>;

// Name in the fixture -> name of ours: the position table is listed without the network's prefix.
std::string our_name(const std::string& name) {
  return name.starts_with("model_down.") ? "backbone." + name : name;
}

Tensors named(const torch::nn::Module& module) {
  Tensors out;
  for (const auto& item : module.named_parameters()) out[item.key()] = item.value().detach();
  return out;
}

Tensors copied(const torch::nn::Module& module) {
  Tensors out = named(module);
  for (auto& item : out) item.second = item.second.clone();
  return out;
}

double l2(const torch::Tensor& x) { return x.to(torch::kDouble).norm().item<double>(); }

torch::Tensor doubles(const std::vector<double>& values) {
  return torch::tensor(values, torch::kDouble);
}

// One training run from the fixture's weights.
class Run {
 public:
  explicit Run(const Fixture& fixture)
      : fixture_(fixture),
        rows_(fixture.rows()),
        crop_(crop_of(fixture)),
        views_(make_views(crop_)),
        alice_(make_alice(fixture, crop_)),
        solo_(comm::connect({.backend = "solo"})) {
    for (const std::string& lacking : fill_module(alice_->online(), rows_, our_name))
      EXPECT_TRUE(lacking.starts_with("casa.projection_")) << lacking << " (never called there)";
    fill_target();
    const json c = fixture.config();
    train::OptimizerPlan plan;
    plan.clip = c.at("clip");
    plan.beta1 = c.at("betas").at(0);
    plan.beta2 = c.at("betas").at(1);
    plan.epsilon = c.at("eps");
    EXPECT_EQ(c.at("freeze_last_layer"), 1);
    arena_ = std::make_unique<train::GradientArena>(*alice_, 25 << 20, 2);
    reducer_ = std::make_unique<train::BucketReducer>(*arena_, *solo_);
    optimizer_ = std::make_unique<train::Optimizer>(*arena_, plan, 1.0);
  }

  void expect_outputs(const std::string& at);
  // The order of the trainer's step. Gradients of before clipping stay in the parameters.
  void step(const train::StepRates& rates, std::int64_t epoch);
  void expect_first(const std::string& at);
  // Norms of what is there now.
  void expect_weights(const std::string& at);
  void expect_changes(const std::string& at, const Tensors& before, const Tensors& target_before);

  objective::Objective& alice() { return *alice_; }
  torch::Tensor losses() const { return torch::stack(losses_); }
  torch::Tensor gradient_totals() const { return torch::stack(totals_); }

 private:
  static Size3 crop_of(const Fixture& fixture) {
    const auto shape = fixture.shape("e0.it1.student.recon");
    return {shape.at(2), shape.at(3), shape.at(4)};
  }
  void fill_target();
  torch::Tensor clipped_norms() const;
  // One number per row of the list: of ours, or of an entry that our network leaves out, which
  // nothing moves in the reference either.
  torch::Tensor over_rows(const std::function<double(const std::string& name)>& of,
                          const std::function<double(const NamedEntry&)>& left_out) const;
  torch::Tensor over_target(const std::function<double(const std::string& name)>& of) const;

  const Fixture& fixture_;
  std::vector<NamedEntry> rows_;
  Size3 crop_;
  objective::Views views_;
  std::unique_ptr<objective::Objective> alice_;
  std::unique_ptr<comm::Communicator> solo_;
  std::unique_ptr<train::GradientArena> arena_;
  std::unique_ptr<train::BucketReducer> reducer_;
  std::unique_ptr<train::Optimizer> optimizer_;
  std::vector<std::uint8_t> active_;
  std::vector<torch::Tensor> losses_, totals_;
  torch::Tensor gradient_norms_;  // of the last step
};

// The target as the reference builds it: the student's state, its last layer from `last_layer2`.
void Run::fill_target() {
  const torch::NoGradGuard no_grad;
  const Tensors source = named(alice_->online());
  for (auto& item : alice_->target()->named_parameters()) {
    std::string name = item.key();
    if (name.starts_with("head.last_layer.")) name.replace(5, 10, "last_layer2");
    item.value().copy_(source.at(name));
  }
}

void Run::expect_outputs(const std::string& at) {
  const torch::NoGradGuard no_grad;
  auto& online = dynamic_cast<objective::alice::Network&>(alice_->online());
  auto& target = dynamic_cast<objective::alice::Network&>(*alice_->target());
  const auto pair = [&](const std::string& what) {
    return torch::cat({views_.at("query_" + what), views_.at("key_" + what)});
  };
  const Size3 grid{crop_[0] / 8, crop_[1] / 8, crop_[2] / 8};
  const auto project = [&](objective::alice::Network& net, const backbone::View& view,
                           const std::string& name) {
    net.backbone->eval();
    const backbone::Features features = net.backbone->run(view, {});
    const model::Projections out = net.head(features, true);
    fixture_.expect(at + name + ".cls", out.cls_BD);
    fixture_.expect(at + name + ".enc", out.encoder_BLD);
    // The reference's decoder tokens run with the first axis fastest.
    const torch::Tensor map = model::nnformer::tokens_to_map(out.decoder_BLD, grid);
    fixture_.expect(at + name + ".dec", map.permute({0, 3, 4, 2, 1}).flatten(1, 3));
    fixture_.expect(at + name + ".recon", features.reconstruction_B1XYZ);
    return out;
  };
  const model::Projections student = project(
      online,
      {.image_B1XYZ = pair("B1XYZ"), .visible_B1XYZ = pair("visible_B1XYZ"), .visible_share = 0.25},
      "student");
  const model::Projections teacher = project(target, {.image_B1XYZ = pair("B1XYZ")}, "teacher");
  const torch::Tensor query = student.encoder_BLD, projected = online.casa->project_queries(query);
  fixture_.expect(at + "aligned_student",
                  online.casa->align(query, projected, student.decoder_BLD, nullptr));
  fixture_.expect(at + "aligned_teacher",
                  online.casa->align(query, projected, teacher.decoder_BLD, nullptr));
}

void Run::step(const train::StepRates& rates, std::int64_t epoch) {
  arena_->zero_gradients();
  reducer_->arm(true, true);
  const objective::Loss loss = alice_->evaluate(views_, {.epoch = epoch});
  loss.total.backward();
  reducer_->finish();
  optimizer_->measure();
  Tensors terms;
  for (const auto& term : loss.terms) terms[term.name] = term.value;
  losses_.push_back(torch::stack(
      {terms.at("inter"), terms.at("intra"), terms.at("reconstruction"), loss.total.detach()}));
  active_.assign(reducer_->touched().begin(), reducer_->touched().end());
  double student = 0, casa = 0;
  for (std::size_t i = 0; i < active_.size(); ++i) {
    const train::Slot& slot = arena_->slots()[i];
    const double square = std::pow(l2(slot.parameter.grad()), 2);
    (slot.name.starts_with("casa.") ? casa : student) += square;
    if (epoch == 0 && slot.rule.frozen_first_epoch) active_[i] = 0;
  }
  totals_.push_back(doubles({std::sqrt(student), std::sqrt(casa), std::sqrt(student + casa)}));
  gradient_norms_ = gradient_norms(alice_->online(), rows_, our_name);  // the update leaves zeros
  alice_->absorb(loss.statistics, 1);
  optimizer_->apply(rates, active_);
}

// The optimiser clips within its pass; after one step its first moment is (1 - beta1) times what
// it clipped to.
torch::Tensor Run::clipped_norms() const {
  std::map<std::string, double> norms;
  const double share = 1 - optimizer_->plan().beta1;
  for (std::size_t i = 0; i < active_.size(); ++i) {
    const train::Slot& slot = arena_->slots()[i];
    if (active_[i] != 0) norms[slot.name] = l2(arena_->view(arena_->moment1(), slot)) / share;
  }
  return over_rows([&](const std::string& name) { return norms.count(name) ? norms[name] : -1; },
                   [](const NamedEntry&) { return -1; });
}

void Run::expect_first(const std::string& at) {
  fixture_.expect(at + "losses", losses());
  fixture_.expect(at + "total_gradnorm", gradient_totals());
  fixture_.expect(at + "gradnorm", gradient_norms_);
  fixture_.expect(at + "gradnorm_after_clip", clipped_norms());
  fixture_.expect(at + "center", alice_->state().at("centre_cls"));
  fixture_.expect(at + "center2", alice_->state().at("centre_tokens"));
  expect_weights(at);
}

torch::Tensor Run::over_rows(const std::function<double(const std::string& name)>& of,
                             const std::function<double(const NamedEntry&)>& left_out) const {
  const Tensors ours = named(alice_->online());
  std::vector<double> values;
  for (const NamedEntry& row : rows_) {
    if (row.is_attribute()) continue;
    const std::string name = our_name(row.name);
    values.push_back(ours.count(name) != 0 ? of(name) : left_out(row));
  }
  return doubles(values);
}

torch::Tensor Run::over_target(const std::function<double(const std::string& name)>& of) const {
  std::vector<double> values;
  for (const std::string& name : fixture_.name_list("teacher_names")) values.push_back(of(name));
  return doubles(values);
}

void Run::expect_weights(const std::string& at) {
  const Tensors online = named(alice_->online()), target = named(*alice_->target());
  fixture_.expect(at + "paramnorm",
                  over_rows([&](const std::string& name) { return l2(online.at(name)); },
                            [](const NamedEntry& row) {
                              return l2(fill(row.k, row.shape, row.offset, row.amplitude));
                            }));
  fixture_.expect(at + "emanorm",
                  over_target([&](const std::string& name) { return l2(target.at(name)); }));
}

// The key part of a projection's bias moves no softmax, so its gradient is rounding, which AdamW's
// first step blows up to the size of any other.
bool is_key_bias(const std::string& name) { return name.ends_with("kv.bias"); }

constexpr const char* kKeyBias =
    "the key part of a projection's bias has a gradient of rounding alone";

void Run::expect_changes(const std::string& at, const Tensors& before,
                         const Tensors& target_before) {
  const Tensors online = named(alice_->online()), target = named(*alice_->target());
  const auto change = [&](const std::string& name) {
    return online.at(name).to(torch::kDouble) - before.at(name);
  };
  const auto nothing = [](const NamedEntry&) { return 0; };
  const auto of_rows = [&](const std::function<double(const std::string&)>& of) {
    return over_rows(of, nothing);
  };
  const auto key_biases = [](const torch::Tensor& marks) {
    std::set<std::size_t> places;
    for (std::int64_t i = 0; i < marks.numel(); ++i) {
      if (marks[i].item<double>() != 0) places.insert(static_cast<std::size_t>(i));
    }
    return places;
  };
  const auto in_rows = key_biases(of_rows(is_key_bias)),
             in_target = key_biases(over_target(is_key_bias));
  fixture_.expect_but(at + "deltanorm",
                      of_rows([&](const std::string& name) { return l2(change(name)); }), in_rows,
                      0.1, kKeyBias);
  fixture_.expect_but(at + "delta_dot_param", of_rows([&](const std::string& name) {
                        return (change(name) * before.at(name)).sum().item<double>();
                      }),
                      in_rows, 0.25, kKeyBias);
  fixture_.expect_but(at + "emadeltanorm", over_target([&](const std::string& name) {
                        return l2(target.at(name).to(torch::kDouble) - target_before.at(name));
                      }),
                      in_target, 0.1, kKeyBias);
}

train::StepRates rates_of(const json& c) { return {c.at("lr"), c.at("weight_decay"), c.at("ema")}; }

void check(const Fixture& fixture) {
  const json sequence = fixture.config().at("sequence"), single = fixture.config().at("step");
  for (const std::int64_t epoch : sequence.at("epochs")) {
    const std::string at = "e" + std::to_string(epoch) + ".";
    SCOPED_TRACE(at);
    Run run(fixture);
    if (fixture.has(at + "it1.aligned_student")) run.expect_outputs(at + "it1.");
    for (std::int64_t i = 0; i < sequence.at("iterations").get<std::int64_t>(); ++i) {
      run.step(rates_of(sequence), epoch);
      if (i == 0) run.expect_first(at + "it1.");
    }
    fixture.expect(at + "losses", run.losses());
    fixture.expect(at + "total_gradnorm", run.gradient_totals());
    run.expect_weights(at + "final.");
  }
  SCOPED_TRACE("step");
  Run run(fixture);
  const Tensors before = copied(run.alice().online()), target = copied(*run.alice().target());
  run.step(rates_of(single), single.at("epoch"));
  run.expect_weights("step.");
  run.expect_changes("step.", before, target);
}

const RegisterKind registered({"Alice's iteration",
                               [](const Fixture& f) {
                                 return f.config().contains("sequence") &&
                                        f.config().contains("clip_rule");
                               },
                               check});

}  // namespace
}  // namespace homolog::golden
