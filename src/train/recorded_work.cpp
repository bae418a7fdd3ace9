#include "train/recorded_work.h"

#include <utility>

namespace homolog::train {
namespace {

class Repeated final : public RecordedWork {
 public:
  explicit Repeated(std::function<void()> work) : work_(std::move(work)) {}
  void replay() override { work_(); }

 private:
  std::function<void()> work_;
};

}  // namespace

std::unique_ptr<RecordedWork> record(torch::Device device, std::function<void()> work) {
  if (device.is_cuda()) return record_on_cuda(work);
  return std::make_unique<Repeated>(std::move(work));
}

}  // namespace homolog::train
