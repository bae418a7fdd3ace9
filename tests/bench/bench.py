"""./run bench [PART...] [--json FILE]: our speed and a peer's, side by side in one run, on this machine.

Parts: data (the pair stream against h5py, MosaicML streaming, memory maps, the codec alone and the disk:
data_part.py), step (training steps, the update alone, memory, two workers and their start against PyTorch DDP: step_part.py;
on a GPU against eager and compiled DDP there, and shares of what it can do: gpu_rows.py;
then a step of the small recipe by phase, those that take no time left out, no peer),
startup (seconds from the launch to the first all-reduce, 1 to 64 workers over MPI and TCP: startup_part.py; startup/plot.py draws them),
allreduce (seconds of one between two processes here, by size, against PyTorch's gloo; 2, 4 and 8 processes against homolog plan's
model: allreduce_model_part.py; then its share of a two-worker step, no peer), numerics (each golden fixture's deviation that uses most of its tolerance;
the goal is the tolerance), attention (window attention forward and backward, one thread, against plain products in
PyTorch: processor time), encoders (processor time and peak memory of a step of each encoder, against the
same network in PyTorch with MONAI, each measurement a process of its own). Where there is a peer, ours and the peer run in turns. Medians over
--repeats turns, and the spread (max - min) / median of ours. A ratio is above 1 where ours is better;
a goal that is not met is shown as such. Rows: part, name, ours, peer, ratio, spread, goal, met, unit,
note.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from allreduce_model_part import AllReduceModelPart
from data_part import DataPart
from row import row
from startup_part import StartupPart
from step_part import StepPart

PARTS = ["data", "step", "startup", "allreduce", "numerics", "attention", "encoders"]
NEED_STORE = {"step", "allreduce"}
BUFFERS = {"64 KiB": 16384, "4 MiB": 1048576, "16 MiB": 4194304}  # floats
SIDES = [64, 96]
ATTENTION_GOALS = {16: 8.0, 8: 7.5}  # times plain PyTorch, by lanes of the vectors that the processor has
# Name shown, backbone, output that the loss reads (what MONAI's network gives, too), its options.
ENCODERS = [
    ("nnformer", "nnformer", "reconstruction", []),
    ("swin_unetr 24", "swin_unetr", "reconstruction", ["model.swin_unetr.feature=24"]),
    ("swin_unetr 24 v2", "swin_unetr", "reconstruction", ["model.swin_unetr.feature=24", "model.swin_unetr.use_v2=true"]),
    ("unetr", "unetr", "reconstruction", []),
    ("vit", "vit", "encoder", []),
    ("resnet18", "resnet", "cls", ["model.resnet.depth=18"]),
    ("resnet50", "resnet", "cls", ["model.resnet.depth=50"]),
]
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


def share(line):
    """How much of its tolerance a comparison uses."""
    if line["deviation"] is None:
        return float("inf")
    if line["tolerance"] == 0:
        return 0.0 if line["deviation"] == 0 else float("inf")
    return line["deviation"] / line["tolerance"]


def numbers_row(fixture, lines, failed):
    """The comparison of one fixture that uses most of its tolerance. `failed`: what its test said, or None."""
    worst = max(lines, key=share, default=None)
    reasons = sorted({line["reason"] for line in lines if line["reason"]})
    note = f"{len(lines)} comparisons" + "".join(f"; {reason}" for reason in reasons)
    if failed:
        note += "; FAILED: " + failed
    off = float("inf") if worst is None or worst["deviation"] is None else worst["deviation"]
    goal = None if worst is None else worst["tolerance"]
    name = fixture if worst is None else f"{fixture}: {worst['tensor']} ({worst['rule']})"
    return {"part": "numerics", "name": name, "ours": off, "peer": None,
            "ratio": goal / off if goal and off else None, "spread": 0.0, "goal": goal, "met": not failed and off <= (goal or 0.0),
            "unit": "deviation", "note": note}


class Bench:
    """A small store made once with the commands a user types; every part reads it."""

    def __init__(self, bin_folder, repeats):
        self.bin = pathlib.Path(bin_folder).resolve()
        self.repeats = repeats
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="homolog-bench-"))
        self.store = self.folder / "store"

    def program(self, name):
        return self.bin / f"homolog-{name}"

    def numerics(self):
        """Every fixture's test writes a line per comparison."""
        report, results = self.folder / "numerics.jsonl", self.folder / "numerics.json"
        report.touch()
        environment = dict(os.environ, HOMOLOG_GOLDEN_REPORT=str(report), OMP_NUM_THREADS="1")
        done = subprocess.run([str(self.bin / "test_golden"), "--gtest_filter=Golden.*", f"--gtest_output=json:{results}"],
                              capture_output=True, text=True, env=environment)
        if not results.exists():
            sys.exit(f"bench: test_golden ended with {done.returncode}\n{done.stderr[-2000:]}")
        lines = {}
        for line in map(json.loads, report.read_text().splitlines()):
            lines.setdefault(line["fixture"], []).append(line)
        rows = []
        for test in sum((suite["testsuite"] for suite in json.loads(results.read_text())["testsuites"]), []):
            said = test["failures"][0]["failure"].splitlines() if test.get("failures") else []
            fixture = next((name for name in lines if re.sub(r"\W", "_", name) == test["name"]), test["name"])
            rows.append(numbers_row(fixture, lines.get(fixture, []), said[1] if len(said) > 1 else "".join(said) or None))
        return rows

    def attention(self):
        """Both in one process, in turns."""
        done = json.loads(run([self.bin / "bench_attention", self.repeats], env=dict(os.environ, OMP_NUM_THREADS="1")))
        return [row("attention", f"attention_fwd_bwd {case['case']}{' masked' if case['masked'] else ''}", case["ours"],
                    case["plain"], "s", goal=ATTENTION_GOALS.get(done["lanes"]), better="less",
                    note="{windows} windows, {heads} heads, {tokens} tokens, {channels} channels; ".format(**case) + done["kernel"])
                for case in done["rows"]]

    def encoders(self):
        rows = []
        for side in SIDES:
            for encoder in ENCODERS:
                rows += self.encoder(*encoder, side)
                print(f"bench: {encoder[0]} at {side} done", file=sys.stderr)
        return rows

    def encoder(self, name, backbone, output, settings, side):
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        ours, peer = [], []
        for _ in range(self.repeats):
            ours.append(json.loads(run([self.bin / "bench_encoder", "--backbone", backbone, "--side", side, "--output", output,
                                        *settings], env=environment)))
            if ours[0]["network"]:  # MONAI has one
                peer.append(json.loads(run([sys.executable, HERE / "peer_encoders.py", ours[0]["network"],
                                            ours[0]["arguments"], side], env=environment)))
        beside = f"MONAI {ours[0]['network']}" if peer else "MONAI has no such network"
        idle = lambda turns: statistics.median(turn["idle_mib"] for turn in turns)
        before = f"before the network is made: ours {idle(ours):.0f}" + (f", peer {idle(peer):.0f}" if peer else "")
        return [row("encoders", f"{name}, {side}^3, step", [turn["seconds"] for turn in ours],
                    [turn["seconds"] for turn in peer], "s", better="less", note=beside),
                row("encoders", f"{name}, {side}^3, peak memory", [turn["peak_mib"] for turn in ours],
                    [turn["peak_mib"] for turn in peer], "MiB", better="less", note=before)]

    def make_store(self):
        f = self.folder
        run([self.program("phantom"), "--out", f / "phantoms", "--count", 6, "--seed", 3])
        run([self.program("catalog"), f / "phantoms" / "images", "--out", f / "catalog.jsonl"])
        run([self.program("sam"), "train", "--catalog", f / "catalog.jsonl", "--run", f / "sam",
             "--config", "configs/sam_small.ini", "--set", "schedule.steps=4", "--set", "schedule.warmup_steps=1"])
        run([self.program("shard"), "--catalog", f / "catalog.jsonl", "--sam", f / "sam" / "sam.safetensors",
             "--out", self.store, "--config", "configs/shard_small.ini"])

    def data(self):
        return DataPart(self.bin, self.folder, self.repeats, run, row).rows()

    def train(self, name, workers, steps=8):
        folder = self.folder / name
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        run([self.program("launch"), "--config", "configs/alice_small.ini", "--set", f"data.store={self.store}",
             "--run", folder, "--workers", workers, "--set", f"schedule.steps={steps}", "--set", "schedule.warmup_steps=1",
             "--set", "monitor.enabled=false", "--set", "schedule.validate_every=0"], env=environment)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [line for line in lines if "parts" in line][2:]  # the first steps warm up

    def step(self):
        return StepPart(self.bin, self.folder, self.repeats, run, row).rows() + self.phases()

    def startup(self):
        return StartupPart(self.bin, self.repeats, row).rows()

    def phases(self):
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
        rows = self.wire() + AllReduceModelPart(self.bin, self.repeats, run, row).rows()
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
        goal = "-" if r["goal"] is None else f"{r['goal']:g}" + ("" if r["met"] else " ?" if r["met"] is None else " !")
        print(f"{r['part']:10} {r['name'][:46]:46} {text(r['ours'], '10.4g'):>10} {text(r['peer'], '10.4g'):>10} "
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
        parts = arguments.parts or PARTS
        if NEED_STORE & set(parts):
            bench.make_store()
        for part in parts:
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
