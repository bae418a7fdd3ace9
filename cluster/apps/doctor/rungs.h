// The rungs: each measures on all ranks and hands the figures to its judge
// (cluster/doctor/judge.h).
#pragma once

#include "cluster/apps/doctor/ladder.h"

namespace homolog::doctor {

void climb_machine(Ladder& ladder);  // hosts and ranks, versions, open files, shared memory
void climb_network(Ladder& ladder);  // time skew, MPI barrier, host all-reduce
void climb_compute(Ladder& ladder);  // GEMM, clocks
void climb_disks(Ladder& ladder);    // runs, store
void climb_nccl(Ladder& ladder);     // NCCL all-reduce; last, because it takes over the world

}  // namespace homolog::doctor
