// Training on pairs: everything that `homolog train` takes from a configuration.
#include <torch/types.h>
#include <torch/utils.h>

#include <numeric>

#include "apps/choice.h"
#include "apps/plan/subject.h"
#include "model/crop_text.h"
#include "sharding/store/store_manifest.h"
#include "train/pair_source.h"

namespace homolog {
namespace {

constexpr const char* kTrainer = "homolog train";

class Pairs final : public Subject {
 public:
  explicit Pairs(const std::int64_t& train_samples) : train_samples_(train_samples) {}

  void declare(Options& options, train::TrainingPlan& plan) override {
    options.add("crop", crop_,
                "sides of the network's input, X,Y,Z; without it the crops of data.store",
                {.min = 1, .unit = "voxels"});
    homolog::declare(options, choice_, backbones_, objectives_, weights_,
                     "as for training; changes no plan");
    train::declare(options, source_);
    train::declare_recipe(options, plan);
  }

  void check() override {
    entry_ = &require_trained_by(kTrainer, choice_.objective);
    if (!crop_.empty() && crop_.size() != 3)
      throw Error(Fault::Usage, "--crop wants three sides", "for example --crop 192,192,64");
    if (!crop_.empty()) sides_ = {crop_[0], crop_[1], crop_[2]};
    if (source_.store.empty()) {
      if (!crop_.empty()) return;
      throw Error(Fault::Usage, "neither data.store nor --crop is given",
                  "give the store that will be trained on, or the sides of its crops: --crop "
                  "192,192,64");
    }
    read_store();
  }

  census::StepSetup setup(const train::TrainingPlan& plan) override {
    return {.objective =
                [this] {
                  const auto& backbone =
                      Choice::chosen(backbones_, choice_.backbones, choice_.backbone);
                  return Choice::chosen(objectives_, choice_.objectives, choice_.objective)
                      .make(backbone, sides_);
                },
            .views = [this](std::int64_t batch,
                            const torch::Device& device) { return views(batch, device); },
            .plan = plan};
  }

  SubjectData data() const override { return data_with_user(); }
  std::int64_t recipe_batch() const override { return entry_->recipe_batch; }
  bool can_be_probed() const override { return !source_.store.empty(); }

 private:
  void read_store() {
    const train::PairStoreFacts facts = train::pair_store_facts(source_.store);
    if (!crop_.empty() && facts.crop_xyz != sides_) {
      throw Error(Fault::Usage,
                  "--crop is " + backbone::crop_text(sides_, 'x') + ", but the crops of " +
                      source_.store.string() + " are " + backbone::crop_text(facts.crop_xyz, 'x'),
                  "leave --crop out, or data.store");
    }
    sides_ = facts.crop_xyz;
    const auto manifest = store::load_manifest(source_.store);
    data_.train_samples = facts.train_pairs;
    data_.from_store = manifest.crops() > 0;
    if (data_.from_store)  // a pair is two crops
      data_.sample_bytes =
          2 * static_cast<double>(manifest.bytes()) / static_cast<double>(manifest.crops());
  }

  SubjectData data_with_user() const {
    SubjectData out = data_;
    if (train_samples_ > 0) out.train_samples = train_samples_;
    if (!out.from_store)  // two crops of 16-bit numbers
      out.sample_bytes = 2.0 * 2 * static_cast<double>(sides_[0] * sides_[1] * sides_[2]);
    return out;
  }

  // What PairSource gives.
  objective::Views views(std::int64_t batch, const torch::Device& device) const {
    objective::Views out;
    for (const char* name :
         {"query_B1XYZ", "key_B1XYZ", "target_query_B1XYZ", "target_key_B1XYZ"}) {
      out.tensors[name] = torch::zeros({batch, 1, sides_[0], sides_[1], sides_[2]},
                                       torch::TensorOptions().device(device));
    }
    out.ids.resize(static_cast<std::size_t>(batch));
    std::iota(out.ids.begin(), out.ids.end(), 0);
    return out;
  }

  const std::int64_t& train_samples_;
  std::vector<const backbone::Entry*> backbones_ = backbone::catalog();
  std::vector<const objective::Entry*> objectives_ = objectives_of(kTrainer);
  Choice choice_;
  const objective::Entry* entry_ = nullptr;
  train::PairSourcePlan source_;
  std::vector<std::int64_t> crop_;
  backbone::Size3 sides_{};
  std::filesystem::path weights_;
  SubjectData data_;
};

}  // namespace

std::unique_ptr<Subject> pair_subject(const std::int64_t& train_samples) {
  return std::make_unique<Pairs>(train_samples);
}

}  // namespace homolog
