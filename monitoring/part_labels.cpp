#include "monitoring/part_labels.h"

#include <map>

namespace homolog::monitoring {

std::string part_label(const std::string& part) {
  static const std::map<std::string, std::string> labels = {
      {"data_wait", "waiting for data"},
      {"h2d", "copying to the device"},
      {"forward", "forward pass"},
      {"backward", "backward pass"},
      {"allreduce_exposed", "waiting for all-reduce"},
      {"clip", "clipping gradients"},
      {"optimizer", "optimizer"},
      {"ema", "EMA of the target"},
      {"checkpoint_block", "saving checkpoints"},
      {"other", "other"}};
  const auto found = labels.find(part);
  return found == labels.end() ? part : found->second;
}

}  // namespace homolog::monitoring
