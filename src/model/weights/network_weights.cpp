#include "model/weights/network_weights.h"

#include <torch/utils.h>

#include <algorithm>

#include "base/error.h"
#include "model/parameter_names.h"
#include "model/weights/position_fit.h"

namespace homolog::backbone {
namespace {

// Output layers of published networks, which fit one task, and cross-attention that MONAI 1.5 kept
// in every block without using it.
bool is_head(const std::string& name) {
  return model::starts_with_any(name, {"out.", "fc.", "classification_head.", "final.",
                                       "conv3d_transpose.", "conv3d_transpose_1."}) ||
         name.find(".cross_attn.") != std::string::npos;
}

// Transformers that are published without the convolutions around them.
constexpr const char* kAlone[] = {"swinViT.", "vit."};

std::string shape_text(const torch::Tensor& tensor) { return c10::str(tensor.sizes()); }

bool any_name(const NamedTensors& tensors, const std::string& prefix) {
  const auto at = tensors.lower_bound(prefix);
  return at != tensors.end() && at->first.starts_with(prefix);
}

// One comparison.
class Fitting {
 public:
  Fitting(const Backbone& network, const model::ForeignWeights& from, const FitRules& rules)
      : network_(network),
        wanted_(model::named_tensors(network)),
        tables_(network, from.weights.metadata, rules),
        own_(network.monai().own),
        rules_(rules) {
    out_.notes = from.notes;
    out_.left_out = from.left_out;
    choose_names(from.weights.tensors);
  }

  NetworkWeights run(const std::string& origin) {
    for (const auto& [name, tensor] : given_) take(name, tensor);
    const std::string transformer = transformer_alone();
    const bool encoder_alone =
        !gives_but([&](const std::string& name) { return network_.is_encoder_parameter(name); });
    for (const auto& [name, tensor] : wanted_) {
      if (given_.contains(name)) continue;
      const bool beyond = (encoder_alone && !network_.is_encoder_parameter(name)) ||
                          (!transformer.empty() && !name.starts_with(transformer));
      if (is_own(name))
        ++out_.own_absent;
      else if (beyond || may_be_absent(name))
        out_.absent.push_back(name);
      else
        wrong_.push_back("missing: " + name + " " + shape_text(tensor));
    }
    out_.whole = std::all_of(wanted_.begin(), wanted_.end(), [&](const auto& item) {
      return is_own(item.first) || out_.tensors.contains(item.first);
    });
    if (converted_ > 0)
      out_.notes.push_back(std::to_string(converted_) + " tensors are converted to float32");
    if (!wrong_.empty()) refuse(origin);
    return std::move(out_);
  }

 private:
  void choose_names(const NamedTensors& all) {
    given_ = all;
    for (const char* prefix : {"backbone.", "vit."}) {
      if (!any_name(given_, prefix) || any_name(wanted_, prefix)) continue;
      given_ = names_under(given_, prefix, out_.left_out);
      out_.notes.push_back("taken: what stands under \"" + std::string(prefix) + "\"");
    }
  }

  void take(const std::string& name, torch::Tensor tensor) {
    const auto wanted = wanted_.find(name);
    if (wanted == wanted_.end()) {
      if (is_head(name))
        out_.left_out.push_back(name);
      else
        wrong_.push_back("unexpected: " + name + " " + shape_text(tensor));
      return;
    }
    const torch::Tensor& own = wanted->second;
    const std::int64_t count = tensor.dim() == 3 ? tensor.size(1) : 0;
    if (tensor.is_floating_point() != own.is_floating_point()) {
      wrong_.push_back(name + ": is of type " + c10::toString(tensor.scalar_type()) + ", needs " +
                       c10::toString(own.scalar_type()));
      return;
    }
    // After the conversion: 1e300 is infinite in float32.
    if (tensor.is_floating_point() &&
        !torch::isfinite(tensor.to(own.scalar_type())).all().item<bool>()) {
      ++impossible_;
      wrong_.push_back(name + ": holds values that are not finite");
      return;
    }
    if (model::is_negative_variance(name, tensor)) {
      ++impossible_;
      wrong_.push_back(name + ": holds negative variances");
      return;
    }
    const bool fits = tensor.sizes() == own.sizes() && !tables_.is_of_another_grid(name, tensor);
    if (!fits && !tables_.resample(name, own, tensor, out_.resampled)) {
      if (is_head(name)) {
        out_.left_out.push_back(name);
        out_.absent.push_back(name);
      } else {
        wrong_.push_back(name + ": has shape " + shape_text(tensor) + ", needs " + shape_text(own));
      }
      return;
    }
    tables_.note_assumed_grid(name, count, out_.notes);
    if (!tables_.has_its_sines(name, own, tensor)) {
      wrong_.push_back(name + ": is another table than the fixed sines of this network" +
                       " (positions = sincos); positions = learnable takes it");
      return;
    }
    if (tensor.scalar_type() != own.scalar_type()) {
      ++converted_;
      tensor = tensor.to(own.scalar_type());
    }
    // Indices point into tables: no others than those that this network computes.
    if (!own.is_floating_point() && own.dim() > 0 && !tensor.equal(own.cpu())) {
      wrong_.push_back(name + ": holds other indices than this network's");
      return;
    }
    out_.tensors.emplace(name, tensor);
  }

  // Whether the file has tensors of this network other than those, output layers aside.
  template <class Those>
  bool gives_but(const Those& those) const {
    return std::any_of(wanted_.begin(), wanted_.end(), [&](const auto& item) {
      return !those(item.first) && !is_head(item.first) && given_.contains(item.first);
    });
  }
  // The prefix of the transformer that is all of the network that the file has; "": there is more.
  std::string transformer_alone() const {
    for (const std::string prefix : kAlone) {
      const auto within = [&](const std::string& name) { return name.starts_with(prefix); };
      if (any_name(wanted_, prefix) && any_name(given_, prefix) && !gives_but(within))
        return prefix;
    }
    return "";
  }
  bool is_own(const std::string& name) const {  // published networks have none of them
    return !own_.empty() && name.starts_with(own_);
  }
  bool may_be_absent(const std::string& name) const {
    if (name == "model_down.absolute_pos_embed")
      return true;  // the public nnFormer saves none (D9)
    return is_head(name) || name.ends_with("num_batches_tracked") || !network_.is_used(name, {});
  }

  [[noreturn]] void refuse(const std::string& origin) {
    std::sort(wrong_.begin(), wrong_.end());
    std::string list;
    for (const std::string& line : wrong_) list += "\n    " + line;
    throw Error(Fault::Data,
                origin + " does not fit this network, " + std::to_string(wrong_.size()) +
                    (wrong_.size() == 1 ? " difference" : " differences") +
                    "; nothing was loaded:" + list,
                remedy());
  }

  std::string remedy() const {
    if (impossible_ == wrong_.size())
      return "its numbers are damaged, or its training diverged: take the file again from where it "
             "was published, or an earlier checkpoint";
    if (rules_.resample)
      return "choose the network, its options and its crop as the weights were trained (homolog "
             "import shows what it recognises)";
    if (const std::string crop = tables_.remedy(given_); !crop.empty()) return crop;
    return "choose the network and its options as the weights were trained: --backbone NAME, --set "
           "model.NAME.KEY=VALUE; where the file is a checkpoint of several networks, --part KEY "
           "takes another";
  }

  const Backbone& network_;
  NamedTensors wanted_, given_;
  PositionFit tables_;
  std::string own_;
  FitRules rules_;
  NetworkWeights out_;
  std::vector<std::string> wrong_;
  std::size_t impossible_ = 0;  // of the wrong ones: numbers that no network has
  int converted_ = 0;
};

}  // namespace

NamedTensors names_under(const NamedTensors& tensors, const std::string& prefix,
                         std::vector<std::string>& others) {
  NamedTensors under;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with(prefix))
      under.emplace(name.substr(prefix.size()), tensor);
    else
      others.push_back(name);
  }
  return under;
}

NetworkWeights fit(const Backbone& network, const model::ForeignWeights& from,
                   const std::string& origin, const FitRules& rules) {
  return Fitting(network, from, rules).run(origin);
}

void load(Backbone& network, const NetworkWeights& weights) {
  const torch::NoGradGuard no_grad;
  NamedTensors own = model::named_tensors(network);
  for (const auto& [name, tensor] : weights.tensors) own.at(name).copy_(tensor);
}

}  // namespace homolog::backbone
