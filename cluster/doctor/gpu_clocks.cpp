// NVML is opened at run time: it comes with the driver, and a machine without one has none.
#include <dlfcn.h>

#include "cluster/doctor/machine.h"

namespace homolog::doctor {
namespace {

// The part of nvml.h that is used here; these names and values are fixed by its ABI.
using Device = struct NvmlDevice*;
constexpr unsigned kClockSm = 1, kTemperatureGpu = 0;
constexpr struct {
  unsigned long long bit;
  const char* why;
} kReasons[] = {{0x08, "hardware slowdown"},
                {0x20, "software thermal slowdown"},
                {0x40, "hardware thermal slowdown"},
                {0x80, "power brake"}};

class Nvml {
 public:
  Nvml() : library_(::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    if (library_ != nullptr) good_ = call<int()>("nvmlInit_v2") == 0;
  }
  ~Nvml() {
    if (good_) call<int()>("nvmlShutdown");
    if (library_ != nullptr) ::dlclose(library_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;
  bool good() const noexcept { return good_; }

  // NVML's return code; 0 is success, -1 stands for a driver that lacks the function.
  template <class Function, class... Arguments>
  int call(const char* name, Arguments... arguments) const {
    auto* const function = reinterpret_cast<Function*>(::dlsym(library_, name));
    return function == nullptr ? -1 : function(arguments...);
  }

 private:
  void* library_;
  bool good_ = false;
};

}  // namespace

void read_gpu_clocks(const std::string& pci, Measured& measured) {
  const Nvml nvml;
  Device device = nullptr;
  if (!nvml.good() || nvml.call<int(const char*, Device*)>("nvmlDeviceGetHandleByPciBusId_v2",
                                                           pci.c_str(), &device) != 0)
    return;
  unsigned value = 0;
  using Get = int(Device, unsigned, unsigned*);
  if (nvml.call<Get>("nvmlDeviceGetClockInfo", device, kClockSm, &value) == 0)
    measured.numbers["gpu_mhz"] = value;
  if (nvml.call<Get>("nvmlDeviceGetMaxClockInfo", device, kClockSm, &value) == 0)
    measured.numbers["gpu_max_mhz"] = value;
  if (nvml.call<Get>("nvmlDeviceGetTemperature", device, kTemperatureGpu, &value) == 0)
    measured.numbers["gpu_celsius"] = value;
  unsigned long long reasons = 0;
  if (nvml.call<int(Device, unsigned long long*)>("nvmlDeviceGetCurrentClocksThrottleReasons",
                                                  device, &reasons) != 0)
    return;
  std::string& text = measured.words["throttled"];
  for (const auto& reason : kReasons) {
    if ((reasons & reason.bit) != 0) text += (text.empty() ? "" : ", ") + std::string(reason.why);
  }
}

}  // namespace homolog::doctor
