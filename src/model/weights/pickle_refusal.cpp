#include "model/weights/pickle_refusal.h"

#include "base/error.h"
#include "model/weights/file_words.h"

namespace homolog::model {

void refuse_name(const PickleRules& rules, const std::string& global, std::size_t offset,
                 const std::string& origin) {
  const std::string kind = rules.kind ? rules.kind(global) : "";
  if (!kind.empty())
    throw Error(Fault::Data,
                origin + " holds " + kind + " (" + global + "), which is not supported",
                "save plain tensors alone: {name: tensor.detach().cpu().float()}");
  throw Error(Fault::Data,
              origin + " is refused: this pickle would run " + printable(global) + " (byte " +
                  std::to_string(offset) + "); nothing of it was run or loaded",
              "take weights as safetensors, or save the state dict alone, where you trust it: "
              "torch.save(model.state_dict(), FILE)");
}

}  // namespace homolog::model
