#include "launcher/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/error.h"

namespace homolog::launcher {
namespace {

namespace fs = std::filesystem;

int count_cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

int count_gpus() {
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) {
    const std::string text = visible;
    return text.empty() || text == "-1"
               ? 0
               : 1 + static_cast<int>(std::count(text.begin(), text.end(), ','));
  }
  std::error_code code;
  const fs::directory_iterator gpus("/proc/driver/nvidia/gpus", code);
  return code ? 0 : static_cast<int>(std::distance(fs::begin(gpus), fs::end(gpus)));
}

}  // namespace

Machine look_at_machine(const LaunchRequest& request) {
  Machine machine{.programs = fs::read_symlink("/proc/self/exe").parent_path(),
                  .cores = count_cores(),
                  .gpus = count_gpus(),
                  .root = ::geteuid() == 0,
                  .omp_threads_set = std::getenv("OMP_NUM_THREADS") != nullptr,
                  .allocation = topology::read_allocation(topology::process_environment()),
                  .hosts = {}};
  if (!request.hostfile.empty()) {
    std::ifstream in(request.hostfile);
    if (!in)
      throw Error(Fault::Usage, "--hostfile " + request.hostfile.string() + " cannot be read",
                  "give an existing file with a line NAME slots=N for each host");
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    machine.hosts = topology::parse_host_file(text, request.hostfile.string());
  }
  return machine;
}

}  // namespace homolog::launcher
