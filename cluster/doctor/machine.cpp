#include "cluster/doctor/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace homolog::doctor {
namespace {

namespace fs = std::filesystem;

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

std::vector<int> own_cpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) cpus.push_back(i);
  }
  return cpus;
}

// kHz in a file of cpufreq; 0: not told.
double cpufreq_khz(int cpu, const char* what) {
  double khz = 0;
  std::ifstream("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/cpufreq/" + what) >> khz;
  return khz;
}

// "cpu MHz" of /proc/cpuinfo by processor, where cpufreq is not there (virtual machines).
std::map<int, double> cpuinfo_mhz() {
  std::map<int, double> mhz;
  std::ifstream in("/proc/cpuinfo");
  int cpu = -1;
  for (std::string line; std::getline(in, line);) {
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    if (line.starts_with("processor")) cpu = std::atoi(line.c_str() + colon + 1);
    if (line.starts_with("cpu MHz")) mhz[cpu] = std::atof(line.c_str() + colon + 1);
  }
  return mhz;
}

}  // namespace

void read_machine(RankFacts& facts) {
  facts.cpus = own_cpus();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY)
    facts.open_files = static_cast<std::int64_t>(limit.rlim_max);
  struct statvfs shm {};
  if (::statvfs("/dev/shm", &shm) == 0) {
    facts.shm_size = std::uint64_t{shm.f_blocks} * shm.f_frsize;
    facts.shm_free = std::uint64_t{shm.f_bavail} * shm.f_frsize;
  }
  std::error_code code;
  const fs::directory_iterator gpus("/proc/driver/nvidia/gpus", code);
  facts.gpus_on_host = code ? 0 : static_cast<int>(std::distance(fs::begin(gpus), fs::end(gpus)));
  facts.versions["driver"] = first_line("/sys/module/nvidia/version");
}

std::string gpu_name(const std::string& pci) {
  std::string folder = pci;
  std::transform(folder.begin(), folder.end(), folder.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::ifstream in("/proc/driver/nvidia/gpus/" + folder + "/information");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("Model:")) continue;
    const auto name = line.find_first_not_of(" \t", 6);
    if (name != std::string::npos) return line.substr(name);
  }
  return "GPU";
}

void read_cpu_clocks(Measured& measured) {
  double sum = 0, most = 0;
  const auto cpus = own_cpus();
  const auto told = cpuinfo_mhz();
  for (const int cpu : cpus) {
    double mhz = cpufreq_khz(cpu, "scaling_cur_freq") * 1e-3;
    if (mhz == 0 && told.contains(cpu)) mhz = told.at(cpu);
    if (mhz == 0) return;
    sum += mhz;
    most = std::max(most, cpufreq_khz(cpu, "cpuinfo_max_freq") * 1e-3);
  }
  if (cpus.empty()) return;
  measured.numbers["cpu_mhz"] = sum / static_cast<double>(cpus.size());
  if (most > 0) measured.numbers["cpu_max_mhz"] = most;
}

}  // namespace homolog::doctor
