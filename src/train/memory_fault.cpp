#include "train/memory_fault.h"

#include <c10/util/Exception.h>

#include <new>
#include <string>

#include "base/error.h"

namespace homolog::train {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error(Fault::Environment, what,
              "lower data.batch (and raise data.accumulate), take smaller crops, or set "
              "cluster.activation_checkpoint = true or cluster.precision = bf16; homolog plan says "
              "what a step needs");
}

// Torch has a type for a GPU's memory alone; the rest must be told by its words.
bool is_of_memory(const c10::Error& problem) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&problem) != nullptr) return true;
  const std::string what = problem.what_without_backtrace();
  for (const char* words : {"can't allocate memory", "not enough memory", "out of memory",
                            "Storage size calculation overflowed"}) {
    if (what.find(words) != std::string::npos) return true;
  }
  return false;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

void rethrow_with_remedy_for_memory() {
  try {
    throw;
  } catch (const c10::Error& problem) {
    if (is_of_memory(problem))
      refuse("no memory left for a step: " + first_line(problem.what_without_backtrace()));
    throw;
  } catch (const std::bad_alloc&) {
    refuse("no memory left for a step");
  }
}

}  // namespace homolog::train
