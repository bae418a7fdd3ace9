// What this machine and process say of themselves: limits, /dev/shm, driver, clocks. Linux.
#pragma once

#include <filesystem>
#include <string>

#include "cluster/doctor/rank_facts.h"

namespace homolog::doctor {

// Fills what needs neither Torch nor MPI: cpus, open_files, shm_size, shm_free, gpus_on_host and
// the version "driver".
void read_machine(RankFacts& facts);
// "NVIDIA H200" of a GPU's PCI address, as the driver lists it; "GPU": it does not.
std::string gpu_name(const std::string& pci);

// Numbers "cpu_mhz" (mean over the process's cores, now) and "cpu_max_mhz", as far as told.
void read_cpu_clocks(Measured& measured);
// Numbers "gpu_mhz", "gpu_max_mhz", "gpu_celsius", word "throttled", through NVML, which comes with
// the driver; nothing without it. `pci`: the GPU's address ("0000:3b:00.0").
void read_gpu_clocks(const std::string& pci, Measured& measured);

}  // namespace homolog::doctor
