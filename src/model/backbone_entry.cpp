// Looks backbones up by name in the generated table.
#include "model/backbone_entry.h"

#include "base/find_entry.h"

namespace homolog::backbone {

const Entry& find(const std::string& name) {
  return find_entry(catalog(), name, "model.backbone", "backbone");
}

}  // namespace homolog::backbone
