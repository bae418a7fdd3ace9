"""Rows of the part `startup`: seconds from the launch to the first all-reduce of 1 to 64 workers on this machine, over MPI and without it
(cluster.bootstrap=tcp), and the processor time that a rank takes up to there. With --json the rows also feed startup/plot.py."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

WORLDS = [1, 2, 4, 8, 16, 32, 64]
OWN_MEMORY = 230 << 20  # of a rank, where the CUDA libraries are loaded
PHASES = ["loaded", "joined", "agreed", "reduced"]
WITHIN = 300  # s


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def available_memory():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


class StartupPart:
    def __init__(self, bin_folder, repeats, row):
        self.program, self.repeats, self.row = str(bin_folder / "bench_startup"), repeats, row

    def rows(self):
        rows = []
        for world in WORLDS:
            if world * OWN_MEMORY > available_memory():
                print(f"bench: {world} workers do not fit into memory: left out", file=sys.stderr)
                break
            for way in ("mpi", "tcp"):
                turns = [self.start(way, world) for _ in range(self.repeats)]
                rows += self.rows_of(way, world, turns)
                print(f"bench: {world} over {way}: {rows[-2]['ours']:.2f} s, {rows[-1]['ours']:.2f} s a rank", file=sys.stderr)
        return rows

    def rows_of(self, way, world, turns):
        last = [turn["reduced"] for turn in turns]
        note = "ends of the phases: " + ", ".join(f"{name} {turns[-1][name]['wall']:.2f}" for name in PHASES)
        return [self.row("startup", f"{way}, {world} workers, to the first all-reduce", [t["wall"] for t in last], unit="s", note=note),
                self.row("startup", f"{way}, {world} workers, processor time a rank", [t["processor"] for t in last], unit="s")]

    def start(self, way, world):
        environment = dict(os.environ, OMP_NUM_THREADS="1", HOMOLOG_BENCH_LAUNCHED=repr(time.monotonic()))
        if way == "mpi":
            root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
            return self.outcome([subprocess.Popen(["mpirun", *root, "--quiet", "--oversubscribe", "--bind-to", "none", "-np", str(world),
                                                   self.program], env=environment, stdout=subprocess.PIPE, text=True)])
        place = f"tcp=127.0.0.1:{free_port()}"
        return self.outcome([subprocess.Popen([self.program, place], stdout=subprocess.PIPE, text=True,
                                              env=dict(environment, HOMOLOG_RANK=str(rank), HOMOLOG_WORLD=str(world)))
                             for rank in range(world)])

    def outcome(self, processes):
        """What the first of them printed, once all have ended."""
        try:
            said = [process.communicate(timeout=WITHIN)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
        if any(process.returncode for process in processes):
            sys.exit(f"bench: {self.program} ended with {[process.returncode for process in processes]}")
        return json.loads(said[0])
