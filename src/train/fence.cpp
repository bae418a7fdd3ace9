#include "train/fence.h"

#include "base/log.h"

namespace homolog::train {
namespace {

// All throw at the same point, nobody is left waiting.
bool found_by_all(Fault fault) {
  return fault == Fault::Usage || fault == Fault::Diverged || fault == Fault::Replicas;
}

}  // namespace

void Fence::judge(const std::exception& e) const {
  const auto* error = dynamic_cast<const Error*>(&e);
  if (error != nullptr && found_by_all(error->fault())) return;
  const auto& rank = communicator_.rank();
  log::error("rank failed", {{"rank", rank.index},
                             {"host", rank.host},
                             {"reason", e.what()},
                             {"where", error != nullptr ? error->where() : std::string()}});
  communicator_.abort(exit_code(error != nullptr ? error->fault() : Fault::Environment));
}

}  // namespace homolog::train
