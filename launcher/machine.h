// What this machine and its environment offer to a launch.
#pragma once

#include "launcher/launch_plan.h"

namespace homolog::launcher {

// Cores and GPUs that this process may use, the SLURM allocation, the hosts of request.hostfile.
// Throws Fault::Usage (host file), Fault::Environment (allocation that cannot be read).
Machine look_at_machine(const LaunchRequest& request);

}  // namespace homolog::launcher
