#include "model/weights/network_weights.h"

#include <torch/utils.h>

#include <algorithm>

#include "base/error.h"
#include "model/blocks/position_table.h"
#include "model/crop_text.h"
#include "model/parameter_names.h"
#include "model/weights/weight_shapes.h"

namespace homolog::backbone {
namespace {

// Output layers of published networks, which fit one task, and cross-attention that MONAI 1.5 kept
// in every block without using it.
bool is_head(const std::string& name) {
  return model::starts_with_any(name, {"out.", "fc.", "classification_head.", "final.",
                                       "conv3d_transpose.", "conv3d_transpose_1."}) ||
         name.find(".cross_attn.") != std::string::npos;
}

constexpr const char* kCropKeys[] = {"crop", "trained.crop"};
constexpr double kSineTolerance = 0.01;  // of 16-bit floats

// Transformers that are published without the convolutions around them.
constexpr const char* kAlone[] = {"swinViT.", "vit."};

std::string shape_text(const torch::Tensor& tensor) { return c10::str(tensor.sizes()); }

std::int64_t tokens(const Size3& grid) { return grid[0] * grid[1] * grid[2]; }

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
        tables_(network.position_tables()),
        own_(network.monai().own),
        metadata_(from.weights.metadata),
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
      wrong_.push_back(name + ": holds values that are not finite");
      return;
    }
    if (model::is_negative_variance(name, tensor)) {
      wrong_.push_back(name + ": holds negative variances");
      return;
    }
    const bool fits = tensor.sizes() == own.sizes() && !is_of_another_grid(name, own, tensor);
    if (!fits && !resample(name, own, tensor)) {
      if (is_head(name)) {
        out_.left_out.push_back(name);
        out_.absent.push_back(name);
      } else {
        wrong_.push_back(name + ": has shape " + shape_text(tensor) + ", needs " + shape_text(own));
      }
      return;
    }
    note_assumed_grid(name, count);
    if (!has_its_sines(name, own, tensor)) {
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

  // As many tokens, but of another grid: 4x4x8 where 8x4x4 is needed.
  bool is_of_another_grid(const std::string& name, const torch::Tensor& own,
                          const torch::Tensor& table_1LC) const {
    Size3 from{};
    const auto table = tables_.find(name);
    return table != tables_.end() && own.sizes() == table_1LC.sizes() &&
           grid_of_file(table->second, table_1LC.size(1), from) && from != table->second;
  }
  // True where the network does not compute its positions, too.
  bool has_its_sines(const std::string& name, const torch::Tensor& own,
                     const torch::Tensor& table_1LC) const {
    return !tables_.contains(name) || !network_.has_sine_positions(name) ||
           table_1LC.to(own.scalar_type()).allclose(own.cpu(), 0, kSineTolerance);
  }
  // A position table of another crop, made anew for this one's tokens.
  bool resample(const std::string& name, const torch::Tensor& own, torch::Tensor& table_1LC) {
    const auto table = tables_.find(name);
    if (!rules_.resample || table == tables_.end() || table_1LC.dim() != 3 ||
        table_1LC.size(0) != 1 || table_1LC.size(2) != own.size(2))
      return false;
    const Size3& to = table->second;
    Size3 from{};
    if (!grid_of_file(to, table_1LC.size(1), from)) return false;
    table_1LC = table_1LC.to(torch::kFloat32);
    const bool sines =
        network_.has_sine_positions(name) &&
        table_1LC.allclose(model::sine_positions_1LC(from, own.size(2)), 0, kSineTolerance);
    table_1LC = sines ? own.detach().cpu() : model::resize_position_table(table_1LC, from, to);
    out_.resampled.push_back(name + " from " + crop_text(from) + " to " + crop_text(to) +
                             " tokens");
    return true;
  }
  bool states_crop(Size3& crop) const {
    return std::any_of(std::begin(kCropKeys), std::end(kCropKeys), [&](const char* key) {
      const auto stated = metadata_.find(key);
      return stated != metadata_.end() && parse_crop(stated->second, crop);
    });
  }
  void note_assumed_grid(const std::string& name, std::int64_t count) {
    const auto table = tables_.find(name);
    Size3 grid{};
    if (table == tables_.end() || !rules_.resample || states_crop(grid) ||
        !grid_of_file(table->second, count, grid))
      return;
    out_.notes.push_back(name + ": the file does not tell how its " + std::to_string(count) +
                         " tokens lie, taken for a grid of " + crop_text(grid) +
                         "; homolog import --crop X,Y,Z states another");
  }
  // From the crop that the file states; else this network's where it has as many tokens, or a cube.
  bool grid_of_file(const Size3& own_grid, std::int64_t count, Size3& grid) const {
    if (Size3 crop{}; states_crop(crop)) {
      for (std::size_t a = 0; a < 3; ++a) grid[a] = own_grid[a] * crop[a] / rules_.crop[a];
      return tokens(grid) == count;
    }
    grid = own_grid;
    if (tokens(grid) == count) return true;
    grid = model::cube_of(count, 1);
    return grid[0] > 0;
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
                    " differences; nothing was loaded:" + list,
                remedy());
  }

  std::string remedy() const {
    if (rules_.resample)
      return "choose the network, its options and its crop as the weights were trained (homolog "
             "import shows what it recognises)";
    for (const auto& [name, grid] : tables_) {
      const auto given = given_.find(name);
      if (given == given_.end() || given->second.dim() != 3 ||
          given->second.size(1) == tokens(grid))
        continue;
      const std::string side = std::to_string(rules_.crop[0] / grid[0]);
      return "the position table is of another crop: give the one that it was made for, --crop "
             "X,Y,Z, where X/" +
             side + " * Y/" + side + " * Z/" + side + " is " +
             std::to_string(given->second.size(1));
    }
    return "choose the network and its options as the weights were trained: --backbone NAME, --set "
           "model.NAME.KEY=VALUE; where the file is a checkpoint of several networks, --part KEY "
           "takes another";
  }

  const Backbone& network_;
  NamedTensors wanted_, given_;
  std::map<std::string, Size3> tables_;
  std::string own_;
  const std::map<std::string, std::string>& metadata_;
  FitRules rules_;
  NetworkWeights out_;
  std::vector<std::string> wrong_;
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
