// How long an all-reduce takes: within the nodes rings of devices, or processes that read each
// other's memory, and a ring or a tree between them, of which the shorter is taken.
#pragma once

namespace homolog::plan {

struct Fabric {
  int nodes = 1, per_node = 1;                 // workers: nodes * per_node
  double link = 450e9;                         // B/s each way and worker, within a node
  double network = 50e9;                       // B/s each way and worker, between nodes
  double link_hop = 2e-6, network_hop = 8e-6;  // s
  // Where processes read and add the bytes (MPI and TCP in host memory): a node's cores, and B/s
  // that one process adds. 0: devices do both beside the transfer, in a ring.
  int cores = 0;
  double adding = 0;

  int workers() const { return nodes * per_node; }
};

struct AllReduce {
  double within = 0;          // s: reduce-scatter and all-gather in the node
  double ring = 0, tree = 0;  // s: between nodes, 1/per_node of the buffer by each worker; 0 on one
  double seconds() const { return within + between(); }
  double between() const { return ring < tree ? ring : tree; }
  bool by_tree() const { return tree < ring; }
};

AllReduce all_reduce(double bytes, const Fabric& fabric);

}  // namespace homolog::plan
