"""./run bench [PART...] [--json FILE]: our speed and a peer's, side by side in one run, on this machine.

Parts: stream (pairs/s read, checked and decoded, against h5py with hdf5plugin on the same store),
step (one training step of one worker, whole and by phase, those that take no time left out; no peer),
allreduce (seconds of one between two processes here, by size, against PyTorch's gloo; then its share
of a two-worker step, no peer). Where there is a peer, ours and the peer run in turns. Medians over
--repeats turns, and the spread (max - min) / median of ours. A ratio is above 1 where ours is better;
a goal that is not met is shown as such. Rows: part, name, ours, peer, ratio, spread, goal, met, unit,
note.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PARTS = ["stream", "step", "allreduce"]
BUFFERS = {"64 KiB": 16384, "4 MiB": 1048576, "16 MiB": 4194304}  # floats
PHASE_NOTES = {
    "allreduce_exposed": "one worker: gradients left over by backward are looked through, nothing is sent",
    "clip": "norm of the gradients; they are clipped in the optimizer's pass",
    "optimizer": "clipping, update and EMA in one pass",
}
HERE = pathlib.Path(__file__).resolve().parent


def run(command, **options):
    """Run one program quietly; on failure show what it said."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"bench: {' '.join(map(str, command))} ended with {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def row(part, name, ours, peer=None, unit="", goal=None, note="", better="more"):
    ours = [value for value in ours]
    mid = statistics.median(ours)
    spread = (max(ours) - min(ours)) / mid if mid else 0.0
    peer_mid = statistics.median(peer) if peer else None
    ratio = None
    if peer_mid:
        ratio = mid / peer_mid if better == "more" else peer_mid / mid
    met = None if goal is None or ratio is None else ratio >= goal
    return {"part": part, "name": name, "ours": mid, "peer": peer_mid, "ratio": ratio, "spread": spread,
            "goal": goal, "met": met, "unit": unit, "note": note}


class Bench:
    """A small store made once with the commands a user types; every part reads it."""

    def __init__(self, bin_folder, repeats):
        self.bin = pathlib.Path(bin_folder).resolve()
        self.repeats = repeats
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="homolog-bench-"))
        self.store = self.folder / "store"

    def program(self, name):
        return self.bin / f"homolog-{name}"

    def make_store(self):
        f = self.folder
        run([self.program("phantom"), "--out", f / "phantoms", "--count", 6, "--seed", 3])
        run([self.program("catalog"), f / "phantoms" / "images", "--out", f / "catalog.jsonl"])
        run([self.program("sam"), "train", "--catalog", f / "catalog.jsonl", "--run", f / "sam",
             "--config", "configs/sam_small.ini", "--set", "schedule.steps=4", "--set", "schedule.warmup_steps=1"])
        run([self.program("shard"), "--catalog", f / "catalog.jsonl", "--sam", f / "sam" / "sam.safetensors",
             "--out", self.store, "--config", "configs/shard_small.ini"])

    def stream(self):
        ours, peer = [], []
        for _ in range(self.repeats):
            ours.append(json.loads(run([self.program("store"), "bench", self.store, "--json"]))["ours"])
            peer.append(float(run([sys.executable, HERE / "peer_h5py.py", self.store])))
        return [row("stream", "pairs read, checked, decoded; 1 thread, warm", ours, peer, "pairs/s", goal=5.0,
                    note="peer: h5py + hdf5plugin on the same shards, which checks nothing")]

    def train(self, name, workers, steps=8):
        folder = self.folder / name
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        run([self.program("launch"), "--config", "configs/alice_small.ini", "--set", f"data.store={self.store}",
             "--run", folder, "--workers", workers, "--set", f"schedule.steps={steps}", "--set", "schedule.warmup_steps=1",
             "--set", "monitor.enabled=false", "--set", "schedule.validate_every=0"], env=environment)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [line for line in lines if "parts" in line][2:]  # the first steps warm up

    def step(self):
        runs = [self.train(f"step-{i}", 1) for i in range(self.repeats)]
        rows = [row("step", "whole step, 1 worker, 1 thread", [statistics.median(s["seconds"] for s in r) for r in runs],
                    unit="s", note="configs/alice_small.ini; medians of parts need not add up")]
        for part in runs[0][0]["parts"]:
            seconds = [statistics.median(s["parts"][part] for s in r) for r in runs]
            if any(seconds):
                rows.append(row("step", part, seconds, unit="s", note=PHASE_NOTES.get(part, "")))
        return rows

    def wire(self):
        """Each size of buffer between two processes, ours and gloo in turns."""
        counts = [str(count) for count in BUFFERS.values()]
        root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
        mpirun = ["mpirun", *root, "--oversubscribe", "--bind-to", "none", "-np", 2]
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        ours, peer = [], []
        for _ in range(self.repeats):
            ours.append(json.loads(run([*mpirun, self.bin / "bench_allreduce", *counts], env=environment)))
            peer.append(json.loads(run([sys.executable, HERE / "peer_gloo.py", *counts], env=environment)))
        return [row("allreduce", f"{size}, 2 processes", [turn[str(count)] for turn in ours],
                    [turn[str(count)] for turn in peer], "s", better="less",
                    note="ours: MPI, its own choice of transport; peer: gloo over loopback TCP")
                for size, count in BUFFERS.items()]

    def allreduce(self):
        rows = self.wire()
        runs = [self.train(f"world-{i}", 2) for i in range(self.repeats)]
        share = [statistics.median(s["parts"]["allreduce_exposed"] / s["seconds"] for s in r) for r in runs]
        rows.append(row("allreduce", "exposed share of a step, 2 workers", share, unit="ratio",
                        note="part of the step in which backward no longer hides it"))
        speed = [statistics.median(s["pairs_per_s"] for s in r) for r in runs]
        rows.append(row("allreduce", "pairs/s, 2 workers", speed, unit="pairs/s"))
        return rows


def show(rows):
    print(f"{'part':10} {'what':46} {'ours':>10} {'peer':>10} {'ratio':>7} {'spread':>7} {'goal':>6}  unit")
    for r in rows:
        text = lambda v, form: "-" if v is None else format(v, form)
        goal = "-" if r["goal"] is None else f"{r['goal']:g}" + ("" if r["met"] else " !")
        print(f"{r['part']:10} {r['name'][:46]:46} {r['ours']:10.4g} {text(r['peer'], '10.4g'):>10} "
              f"{text(r['ratio'], '.2f'):>7} {r['spread']:7.0%} {goal:>6}  {r['unit']}  {r['note']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--json", help="also write the rows to FILE")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        print(f"bench: unknown part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    bench = Bench(arguments.bin, arguments.repeats)
    rows, started = [], time.monotonic()
    try:
        bench.make_store()
        for part in arguments.parts or PARTS:
            rows += getattr(bench, part)()
            print(f"bench: {part} done, {time.monotonic() - started:.0f} s", file=sys.stderr)
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)
    show(rows)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
