// Options of SAM's network: declared, checked, and kept in the weights' metadata.
#include <charconv>

#include "base/error.h"
#include "model/sam_net.h"

namespace homolog::model {
namespace {

std::string join(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const std::int64_t v : values) {
    if (!text.empty()) text += ',';
    text += std::to_string(v);
  }
  return text;
}

std::vector<std::int64_t> numbers(const std::map<std::string, std::string>& metadata,
                                  const std::string& key, std::size_t count,
                                  const std::string& origin) {
  const auto found = metadata.find(key);
  std::vector<std::int64_t> values;
  if (found != metadata.end()) {
    const char* at = found->second.data();
    const char* end = at + found->second.size();
    while (at < end) {
      std::int64_t value = 0;
      const auto [next, fault] = std::from_chars(at, end, value);
      if (fault != std::errc()) break;
      values.push_back(value);
      at = next < end && *next == ',' ? next + 1 : next;
      if (next < end && *next != ',') break;
    }
  }
  if (values.size() != count) {
    throw Error(Fault::Data,
                origin + " is no SAM weights file: its metadata has no valid '" + key + "'",
                "give the sam.safetensors that `homolog sam train` wrote");
  }
  return values;
}

}  // namespace

void declare(Options& o, SamNetPlan& p) {
  o.add("objective.sam.width", p.width,
        "channels of the stem; the stages have 1, 2, 4, 8 times as many", {.min = 1, .max = 512});
  o.add("objective.sam.embedding", p.embedding, "channels of the fine and the coarse vectors",
        {.min = 2, .max = 1024});
  o.add("objective.sam.stem_kernel", p.stem_kernel, "first kernel, z,y,x, odd",
        {.min = 1, .max = 15, .unit = "voxels"});
  o.add("objective.sam.coarse_stride", p.coarse_stride,
        "cell of the coarse map, z,y,x: 4,16,16 or 4,8,8", {.min = 4, .max = 16, .unit = "voxels"});
}

void validate(const SamNetPlan& p) {
  const auto& k = p.stem_kernel;
  if (k.size() != 3 || k[0] % 2 == 0 || k[1] % 2 == 0 || k[2] % 2 == 0) {
    throw Error(Fault::Usage,
                "objective.sam.stem_kernel = " + join(k) + " is not three odd numbers",
                "write for instance 3,7,7");
  }
  const auto& s = p.coarse_stride;
  if (s != std::vector<std::int64_t>{4, 16, 16} && s != std::vector<std::int64_t>{4, 8, 8}) {
    throw Error(Fault::Usage, "objective.sam.coarse_stride = " + join(s) + " cannot be built",
                "use 4,16,16 or 4,8,8");
  }
}

std::map<std::string, std::string> to_metadata(const SamNetPlan& p) {
  return {{"sam.width", std::to_string(p.width)},
          {"sam.embedding", std::to_string(p.embedding)},
          {"sam.stem_kernel", join(p.stem_kernel)},
          {"sam.coarse_stride", join(p.coarse_stride)}};
}

SamNetPlan sam_plan_from_metadata(const std::map<std::string, std::string>& metadata,
                                  const std::string& origin) {
  SamNetPlan p;
  p.width = static_cast<int>(numbers(metadata, "sam.width", 1, origin)[0]);
  p.embedding = static_cast<int>(numbers(metadata, "sam.embedding", 1, origin)[0]);
  p.stem_kernel = numbers(metadata, "sam.stem_kernel", 3, origin);
  p.coarse_stride = numbers(metadata, "sam.coarse_stride", 3, origin);
  return p;
}

}  // namespace homolog::model
