// Looks backbones up by name in the generated table.
#include "model/backbone_entry.h"

#include "base/error.h"

namespace homolog::backbone {

const Entry& find(const std::string& name) {
  std::vector<std::string> names;
  for (const Entry* entry : catalog()) {
    if (name == entry->name) return *entry;
    names.emplace_back(entry->name);
  }
  std::string known;
  for (const std::string& n : names) known += (known.empty() ? "" : ", ") + n;
  const std::string nearest = nearest_word(name, names);
  throw Error(Fault::Usage, "model.backbone: no backbone is called \"" + name + "\"",
              nearest.empty() ? "choose one of: " + known
                              : "did you mean \"" + nearest + "\"? known: " + known);
}

}  // namespace homolog::backbone
