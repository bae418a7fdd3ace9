#include "cluster/plan/allreduce_model.h"

#include <algorithm>
#include <cmath>

namespace homolog::plan {

AllReduce all_reduce(double bytes, const Fabric& f) {
  AllReduce out;
  const double g = f.per_node, n = f.nodes;
  if (f.per_node > 1) {
    // Processes that share a core take turns at copying, adding and waking up.
    const double turns = f.cores > 0 ? std::max(1.0, g / f.cores) : 1;
    const double others = (g - 1) * bytes / g;  // each reads it once to add, once when it is added
    out.within = turns * 2 * others / f.link;
    if (f.adding > 0) {
      constexpr int kMeetings = 3;  // arrived, summed, done (comm/neighbours)
      out.within += turns * (others / f.adding + kMeetings * f.link_hop);
    } else {
      out.within += 2 * (g - 1) * f.link_hop;  // of a ring
    }
  }
  if (f.nodes > 1) {
    const double part = bytes / g;
    out.ring = 2 * (n - 1) * (part / n / f.network + f.network_hop);
    // Up and down a tree every worker's adapter carries the whole part twice, in a pipeline.
    out.tree = 2 * (part / f.network + std::ceil(std::log2(n)) * f.network_hop);
  }
  return out;
}

}  // namespace homolog::plan
