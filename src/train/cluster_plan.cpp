#include "train/cluster_plan.h"

namespace homolog::train {

void declare(Options& o, ClusterPlan& p) {
  o.add("cluster.backend", p.comm.backend,
        "how workers talk: alone solo, with a GPU each nccl, else mpi, without MPI tcp",
        {.choices = {"auto", "solo", "mpi", "tcp", "nccl"}});
  o.add("cluster.bootstrap", p.comm.bootstrap,
        "how workers find each other: mpi where mpirun or srun --mpi=pmix started them, else tcp; "
        "tcp and file need no MPI: rank and world come from srun, HOMOLOG_RANK and HOMOLOG_WORLD, "
        "or torchrun's variables",
        {.choices = {"auto", "mpi", "tcp", "file"}});
  o.add("cluster.rendezvous", p.comm.rendezvous,
        "tcp: HOST:PORT at which rank 0 listens (default MASTER_ADDR:MASTER_PORT, else the step's "
        "first host and a port made of the job's number); file: a path that all hosts share "
        "(default RUN.rendezvous)");
  o.add("cluster.timeout_s", p.comm.timeout_s,
        "a collective that takes longer is a hang, and a world that takes longer to form",
        {.min = 1, .max = 1e8, .unit = "s"});
  o.add("cluster.bucket_mb", p.bucket_mb, "gradients are sent in pieces of this size",
        {.min = 0.001, .max = 1e6, .unit = "MiB"});
  o.add("cluster.check_every", p.check_every,
        "steps between comparisons of all workers' weights; 0: never", {.min = 0});
}

std::unique_ptr<comm::Communicator> join_world(const ClusterPlan& plan,
                                               const std::filesystem::path& run) {
  comm::CommPlan joining = plan.comm;
  if (joining.bootstrap == "file" && joining.rendezvous.empty()) {
    const auto folder = run.has_filename() ? run : run.parent_path();  // of "runs/a/"
    joining.rendezvous = folder.string() + ".rendezvous";
  }
  return comm::connect(joining);
}

}  // namespace homolog::train
