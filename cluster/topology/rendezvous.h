// How workers that MPI does not join find each other: where rank 0 waits, and which world is meant.
// Pure.
#pragma once

#include <filesystem>
#include <string>

#include "cluster/topology/environment.h"

namespace homolog::topology {

struct Rendezvous {
  std::string host;  // where rank 0 listens; "" with a file
  int port = 0;
  std::filesystem::path file;  // in which rank 0 writes where it listens; "" without
  std::string world_id;        // tells this world from others: the job's step, or as the user says

  std::string text() const;  // "n1:29400", "the file runs/alice.rendezvous"
};

// `kind`: "tcp" or "file". `given`: "host:port", "[address]:port" or a path; "": for tcp
// MASTER_ADDR and MASTER_PORT, else the first host of the SLURM step and a port made of the job's
// number. world_id: HOMOLOG_WORLD_ID, else job.step.restart of SLURM, else TORCHELASTIC_RUN_ID,
// else "". Throws Fault::Usage naming what cannot be read or is not there.
Rendezvous choose_rendezvous(const std::string& kind, const std::string& given,
                             const Environment& environment);

}  // namespace homolog::topology
