# Sourced by what two_nodes_test.sh starts: a SLURM of two nodes, n1 and n2, on this machine. A node has its own host
# name and /dev/shm; disks, network and cores are shared.
#   start_slurm FOLDER ID   its files lie in FOLDER; sbatch and its kin find it by $SLURM_CONF
#   job ID WORD             what `scontrol show job` says, as in `job 3 JobState`
#   over ID                 whether the job has ended
#   until_job ID STATE      waits for the end; 1 where that is another state
#   await WHAT COMMAND…     waits until the command succeeds; 1 after three minutes

await() {
  local what=$1 n; shift
  for n in $(seq 1800); do "$@" && return; sleep 0.1; done
  echo "waited three minutes for: $what"
  return 1
}

# Nobody listens on them. Two tests at once begin the search at places of their own.
free_ports() {  # free_ports COUNT ID
  local port=$((10000 + $2 % 2000 * 10)) found=0
  while [ $found -lt "$1" ]; do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo $port; found=$((found + 1)); }
    port=$((port + 1))
  done
}

# The nodes claim more cores than there are, so that jobs are sized as on a cluster.
write_conf() {  # write_conf FOLDER CONTROLLER-PORT NODE-PORT NODE-PORT
  cat >"$1/slurm.conf" <<C
ClusterName=two
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=$2
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$1/munge.socket
MpiDefault=pmix
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=1
JobRequeue=1
StateSaveLocation=$1/state
SlurmctldPidFile=$1/slurmctld.pid
SlurmctldLogFile=$1/slurmctld.log
SlurmdParameters=config_overrides
SlurmdPidFile=$1/%n.pid
SlurmdLogFile=$1/%n.log
SlurmdSpoolDir=$1/%n.spool
TmpFS=$1/%n.tmp
NodeName=n1 NodeAddr=127.0.0.1 Port=$3 CPUs=8
NodeName=n2 NodeAddr=127.0.0.1 Port=$4 CPUs=8
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
C
}

start_node() {  # start_node FOLDER NAME
  mkdir -p "$1/$2.spool" "$1/$2.tmp"
  unshare --uts --mount bash -c 'hostname "$1" && mount -t tmpfs shm /dev/shm && exec slurmd -N "$1" -D' _ "$2" \
    >"$1/$2.out" 2>&1 &
}

both_idle() { [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 2 ]; }

start_slurm() {
  mkdir -p "$1/state"
  (umask 277 && head -c 128 /dev/urandom >"$1/munge.key")
  write_conf "$1" $(free_ports 3 "$2")
  export SLURM_CONF=$1/slurm.conf
  munged --force --foreground --socket="$1/munge.socket" --key-file="$1/munge.key" --pid-file="$1/munged.pid" \
    --log-file="$1/munged.log" --seed-file="$1/munge.seed" >"$1/munged.out" 2>&1 &
  slurmctld -D >"$1/slurmctld.out" 2>&1 &
  start_node "$1" n1
  start_node "$1" n2
  await "two idle nodes" both_idle || { tail -n 20 "$1"/*.out; return 1; }
}

job() { scontrol -o show job "$1" 2>/dev/null | tr ' ' '\n' | sed -n "s/^$2=//p" | head -1; }

over() { case $(job "$1" JobState) in '' | PENDING | RUNNING | COMPLETING | CONFIGURING) false ;; esac; }

until_job() {
  await "end of job $1" over "$1"
  [ "$(job "$1" JobState)" = "$2" ]
}
