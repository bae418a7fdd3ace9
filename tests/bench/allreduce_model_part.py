"""Rows of the part `allreduce` that compare homolog plan's model of an all-reduce with what it takes here, at 2, 4 and 8 processes. The model is
given how fast one process reads another's memory and adds, and what a small message between two takes; nothing of an all-reduce. `ours` is
measured, `peer` predicted; both from the fastest of some rounds, so that neighbours on the machine count little. More processes than cores share them, which the model is told."""
import json
import os
import socket
import subprocess
import sys

COUNTS = {"1 MB": 250000, "10 MB": 2500000, "100 MB": 25000000}  # floats
SMALL = 256
RANKS = [2, 4, 8]
WITHIN = 2.0  # the model is off by at most so much, either way


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class AllReduceModelPart:
    def __init__(self, bin_folder, repeats, run, row):
        self.program, self.repeats, self.run, self.row = str(bin_folder / "bench_allreduce"), repeats, run, row
        self.counts = [str(count) for count in COUNTS.values()]

    def rows(self):
        rates = [self.rate(what) for what in ("reading", "adding")]
        return sum((self.rows_of(way, ranks, rates[0], self.message(way), rates[1]) for way in ("mpi", "tcp") for ranks in RANKS), [])

    def rate(self, what):
        """B/s of one process, in pieces that leave the cache."""
        count = COUNTS["10 MB"]
        return 4 * count / json.loads(self.run([self.program, what, count]))[str(count)]

    def message(self, way):
        """Seconds of a small one between two processes."""
        return self.world(way, 2, "hop", str(SMALL))[str(SMALL)]

    def rows_of(self, way, ranks, link, hop, adding):
        turns = [self.world(way, ranks, "least", *self.counts) for _ in range(self.repeats)]
        said = json.loads(self.run([self.program, "model", ranks, link, hop, adding, os.cpu_count(), *self.counts]))
        rows = []
        for size, count in COUNTS.items():
            measured, predicted = [turn[str(count)] for turn in turns], said[str(count)]
            row = self.row("allreduce", f"{way}, {ranks} processes, {size}: against plan's model", measured, [predicted], "s", better="less",
                           note=f"peer: the model, of {link / 1e9:.2f} GB/s read, {adding / 1e9:.1f} GB/s added, {hop * 1e6:.0f} us a message")
            row.update(goal=WITHIN, met=1 / WITHIN <= row["ratio"] <= WITHIN)
            rows.append(row)
            print(f"bench: {row['name']}: {row['ours']:.4g} s, model {predicted:.4g} s", file=sys.stderr)
        return rows

    def world(self, way, ranks, what, *counts):
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        if way == "mpi":
            root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
            return json.loads(self.run(["mpirun", *root, "--quiet", "--oversubscribe", "--bind-to", "none", "-np", ranks, self.program,
                                        what, *counts], env=environment))
        place = f"tcp=127.0.0.1:{free_port()}"
        started = [subprocess.Popen([self.program, what, place, *counts], stdout=subprocess.PIPE, text=True,
                                    env=dict(environment, HOMOLOG_RANK=str(rank), HOMOLOG_WORLD=str(ranks))) for rank in range(ranks)]
        said = [process.communicate()[0] for process in started]
        if any(process.returncode for process in started):
            sys.exit(f"bench: {self.program} over TCP ended with {[process.returncode for process in started]}")
        return json.loads(said[0])
