#include "train/on_first.h"

#include "base/error.h"

namespace homolog::train {

std::string on_first(comm::Communicator& communicator, const std::function<std::string()>& body) {
  std::string told;
  if (communicator.rank().index == 0) {
    try {
      told = "S" + body();
    } catch (const Error& e) {
      told = "E" + std::to_string(static_cast<int>(e.fault())) + "\n" + e.summary() + "\x1f" +
             e.remedy();
    }
  }
  told = communicator.all_gather(told).front();
  if (!told.starts_with("E")) return told.substr(1);
  const auto line = told.find('\n'), split = told.find('\x1f');
  throw Error(static_cast<Fault>(std::stoi(told.substr(1, line - 1))),
              told.substr(line + 1, split - line - 1), told.substr(split + 1));
}

}  // namespace homolog::train
