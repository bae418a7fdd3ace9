#include "sharding/match/sam_weights.h"

#include <charconv>
#include <cstdio>

#include "base/error.h"
#include "base/hash.h"
#include "model/parameter_names.h"
#include "model/weights/file_kind.h"
#include "model/weights/weights_file.h"

namespace homolog::match {
namespace {

constexpr const char* kFormat = "homolog-sam";
constexpr const char* kStem = "backbone.conv1.conv.weight";
constexpr const char* kFineLateral = "neck.lateral_convs.0.conv.weight";

std::string text(double value) {
  char buffer[32];
  const auto [end, fault] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, end};
}

std::map<std::string, std::string> settings(const SamWeights& w) {
  std::map<std::string, std::string> all = model::to_metadata(w.net);
  all["format"] = kFormat;
  all["version"] = "1";
  all["spacing_mm"] = text(w.spacing_mm);
  all["intensity.low_hu"] = text(w.intensity.low_hu);
  all["intensity.high_hu"] = text(w.intensity.high_hu);
  all["intensity.range"] = text(w.intensity.range);
  all["intensity.shift"] = text(w.intensity.shift);
  return all;
}

// Other settings with equal weights embed differently, so that they count.
std::string hash_of(const SamWeights& w) {
  Xxh3 hash;
  const std::uint64_t tensors = model::weights_hash(w.tensors);
  hash.update(&tensors, sizeof tensors);
  for (const auto& [key, value] : settings(w))
    hash.update(key.data(), key.size()).update(value.data(), value.size());
  return hex64(hash.digest());
}

double number(const model::WeightsFile& in, const std::string& key,
              const std::filesystem::path& file) {
  const auto found = in.metadata.find(key);
  double value = 0;
  if (found != in.metadata.end()) {
    const char* end = found->second.data() + found->second.size();
    const auto [at, fault] = std::from_chars(found->second.data(), end, value);
    if (fault == std::errc() && at == end) return value;
  }
  throw Error(Fault::Data, file.string() + " has no valid '" + key + "' in its metadata",
              "give the sam.safetensors that `homolog sam train` wrote");
}

// The network is built before it is compared: not one that a small file only claims.
void check_size(const model::SamNetPlan& told, const std::map<std::string, torch::Tensor>& tensors,
                const std::string& file_name) {
  const double deepest = 8.0 * told.width, least = 27 * deepest * deepest;  // a last convolution
  double numbers = 0;
  for (const auto& [name, tensor] : tensors) numbers += static_cast<double>(tensor.numel());
  if (least <= numbers && told.embedding <= 8 * told.width) return;
  throw Error(Fault::Data,
              file_name + " tells of a SAM network of width " + std::to_string(told.width) +
                  " with vectors of " + std::to_string(told.embedding) + ", most of it is missing",
              "take the file again, in full, from where it was published");
}

}  // namespace

bool is_published_sam(const std::map<std::string, torch::Tensor>& tensors) {
  return tensors.contains(kStem) && tensors.contains(kFineLateral) &&
         tensors.contains("read_out_head.lateral_convs.0.conv.weight");
}

SamWeights published_sam(const model::ForeignWeights& from, const model::SamNetPlan& plan,
                         const std::string& file_name) {
  model::SamNetPlan told = plan;
  const auto& tensors = from.weights.tensors;
  const auto stem = tensors.find(kStem), lateral = tensors.find(kFineLateral);
  // The width by a layer behind the stem: a stem of another width is then what is listed.
  if (const auto layer = tensors.find("backbone.layer1.0.conv1.conv.weight");
      layer != tensors.end() && layer->second.dim() == 5)
    told.width = static_cast<int>(layer->second.size(0));
  if (stem != tensors.end() && stem->second.dim() == 5) {
    const auto shape = stem->second.sizes();
    told.stem_kernel = {shape[2], shape[3], shape[4]};
  }
  if (lateral != tensors.end() && lateral->second.dim() == 5)
    told.embedding = static_cast<int>(lateral->second.size(0));
  check_size(told, tensors, file_name);
  model::SamNet net(told);
  model::load_into(net, tensors, file_name);
  return weights_of(net, IntensityMap{}, SamWeights{}.spacing_mm);
}

SamWeights weights_of(const model::SamNet& net, const IntensityMap& intensity, double spacing_mm) {
  SamWeights weights;
  weights.net = net.plan();
  weights.intensity = intensity;
  weights.spacing_mm = spacing_mm;
  for (const auto& [name, tensor] : model::named_tensors(net))
    weights.tensors[name] = tensor.detach();
  return weights;
}

Index3 coarse_cell(const model::SamNetPlan& plan) {
  return {plan.coarse_stride[2], plan.coarse_stride[1], plan.coarse_stride[0]};
}

std::string write_sam_weights(const std::filesystem::path& file, const SamWeights& w) {
  const std::string hash = hash_of(w);
  model::WeightsFile out{w.tensors, settings(w)};
  out.metadata["hash"] = hash;
  model::write_weights(file, out);
  return hash;
}

SamWeights read_sam_weights(const std::filesystem::path& file) {
  const std::string first = model::first_bytes(file, 4);
  if (first.starts_with("PK\x03\x04") || first.starts_with('\x80'))
    throw Error(Fault::Data, file.string() + " is a PyTorch file, no sam.safetensors",
                "of published SAM weights `homolog import FILE --out sam.safetensors` makes one");
  model::WeightsFile in = model::read_weights(file);
  const auto format = in.metadata.find("format");
  if (format == in.metadata.end() || format->second != kFormat) {
    throw Error(Fault::Data, file.string() + " holds weights, but not SAM's as homolog keeps them",
                "give the sam.safetensors that `homolog sam train` wrote, or one that `homolog "
                "import` made of published SAM weights");
  }
  SamWeights w;
  w.net = model::sam_plan_from_metadata(in.metadata, file.string());
  w.spacing_mm = number(in, "spacing_mm", file);
  w.intensity = {number(in, "intensity.low_hu", file), number(in, "intensity.high_hu", file),
                 number(in, "intensity.range", file), number(in, "intensity.shift", file)};
  if (!(w.spacing_mm > 0) || !(w.intensity.high_hu > w.intensity.low_hu)) {
    throw Error(Fault::Data, file.string() + " has an impossible grid or intensity map",
                "train SAM again");
  }
  w.tensors = std::move(in.tensors);
  w.hash = hash_of(w);
  const auto stated = in.metadata.find("hash");
  if (stated == in.metadata.end() || stated->second != w.hash) {
    throw Error(
        Fault::Data,
        file.string() + " does not have the hash that its header states: it was changed or damaged",
        "take the file from the training run again");
  }
  return w;
}

}  // namespace homolog::match
