#!/usr/bin/env python3
"""64 workers on this machine, over MPI, through the launcher: as a cluster would run them, but for speed.

Claims: they train to the end and write the checkpoints; their replicas are equal after each step; losses and weights are those of one worker
that accumulates the same global batch (P9); every pair of the store is seen once in an epoch, by one rank. The learning rate leaps after the
first step, so that the second epoch's losses are no numbers: those steps are skipped, and each rank logs what it held, which tells the pairs.
Skips, saying so, where memory does not suffice for so many processes.
"""
import array
import json
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

from programs import BIN, check, finish, good, run

WORKERS, STEPS_AN_EPOCH = 64, 2
PAIRS = WORKERS * STEPS_AN_EPOCH
TINY = {"model.backbone": "vit", "model.vit.patch": 8, "model.vit.layers": 2, "model.vit.hidden": 24, "model.vit.mlp": 48,
        "model.vit.heads": 2, "model.vit.decoder_width": 24, "model.vit.decoder_layers": 1, "model.vit.decoder_heads": 2,
        "objective.alice.hidden": 32, "objective.alice.bottleneck": 16, "objective.alice.outputs": 24, "objective.alice.casa_heads": 2,
        "objective.alice.casa_head_width": 8, "objective.alice.casa_hidden": 32}
LEAP = {"schedule.base_lr": 1e-3, "schedule.min_lr": 1e12, "schedule.allow_peak_below_min": "true", "schedule.max_skipped": 100}
RECIPE = {"data.batch": 1, "data.threads": 1, "data.ahead": 1, "schedule.steps": 2 * STEPS_AN_EPOCH, "schedule.warmup_steps": 0,
          "schedule.scale_lr": "false", "schedule.validate_every": 0, "checkpoint.every_steps": 1, "checkpoint.every_s": 0, "checkpoint.keep": 9,
          "cluster.check_every": 1, "cluster.timeout_s": 400}


def words(store, folder, **more):
    out = ["--run", folder]
    for key, value in {**TINY, **LEAP, **RECIPE, "data.store": store, **more}.items():
        out += ["--set", f"{key}={value}"]
    return out


def own_memory(pid):
    """Bytes that no other process could share."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Anonymous:"))


def alone(store, folder):
    """One worker with the same global batch. Its exit code, what it said, and the most memory of its own."""
    command = [str(BIN / "homolog-train"), *map(str, words(store, folder, **{"data.accumulate": WORKERS}))]
    worker, most = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True), 0
    while worker.poll() is None:
        most = max(most, own_memory(worker.pid))
        time.sleep(0.01)
    return worker.returncode, worker.stdout.read(), most


def available():
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def lines_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def steps_of(folder):
    return [line for line in lines_of(folder / "metrics.jsonl") if "validation" not in line]


def held(folder):
    """Pairs by step, as the ranks logged them when the steps were skipped."""
    by_step = {}
    for log in sorted(folder.glob("log-*.jsonl")):
        for line in lines_of(log):
            if "samples_here" in line:
                by_step.setdefault(line["step"], []).extend(int(i) for i in line["samples_here"].split(","))
    return by_step


def weights(checkpoint):
    """The float32 tensors of model.safetensors by name."""
    data = (checkpoint / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = array.array("f", data[begin:end])
    return tensors


def apart(a, b):
    """Distance of all weights over their length."""
    pairs = [(x, y) for name in a for x, y in zip(a[name], b[name])]
    return math.sqrt(sum((x - y) ** 2 for x, y in pairs) / sum(x * x for x, _ in pairs))


def compare(many, one):
    a, b = steps_of(many), steps_of(one)
    check("all steps are reported", len(a) == len(b) == 2 * STEPS_AN_EPOCH, (len(a), len(b)))
    check("the first step moves the weights", 5e-4 < a[0]["lr"] < 2e-3, a[0])
    for key in ("total", "grad_norm"):
        off = max(abs(x[key] - y[key]) / abs(y[key]) for x, y in zip(a[:STEPS_AN_EPOCH], b[:STEPS_AN_EPOCH]))
        check(f"{key} is one worker's with the same global batch (off by {off:.1e})", off < 1e-3, (a, b))
    names = [f"step-{step:08d}" for step in range(1, 2 * STEPS_AN_EPOCH + 1)]
    found = sorted(path.parent.name for path in (many / "checkpoints").glob("step-*/model.safetensors"))
    check("all checkpoints are there", found == names, found)
    mine, theirs = (weights(folder / "checkpoints" / names[0]) for folder in (many, one))
    check("the first holds one worker's tensors", mine.keys() == theirs.keys() and len(mine) > 10)
    off = apart(mine, theirs)
    check(f"with one worker's weights (off by {off:.1e})", off < 1e-4)
    seen, told = held(many), held(one)
    epoch = sum((seen.get(STEPS_AN_EPOCH + i, []) for i in range(STEPS_AN_EPOCH)), [])
    check("each pair is seen once in an epoch", len(epoch) == PAIRS and len(set(epoch)) == PAIRS, sorted(epoch))
    check("step by step the same pairs as one worker's", {k: sorted(v) for k, v in seen.items()} == {k: sorted(v) for k, v in told.items()})


def main():
    with tempfile.TemporaryDirectory(prefix="homolog-many-") as folder:
        work = pathlib.Path(folder)
        good("make_store", work / "store", PAIRS, 0, 32)
        code, said, memory = alone(work / "store", work / "one")
        check("one worker trains to the end", code == 0, said[-3000:])
        needed, there = int(1.05 * WORKERS * memory) + (1 << 30), available()
        if needed > there:
            print(f"SKIPPED: {WORKERS} workers need {needed / 2**30:.1f} GiB, {there / 2**30:.1f} GiB are free")
            sys.exit(77)
        since = time.monotonic()
        done = run("homolog-launch", "--workers", WORKERS, "--set", "monitor.enabled=false", *words(work / "store", work / "many"))
        print(f"{WORKERS} workers of {memory / 2**20:.0f} MiB: {time.monotonic() - since:.0f} s")
        check(f"{WORKERS} workers train to the end, replicas equal after each step", done.returncode == 0, done.stderr[-4000:])
        if done.returncode == 0:
            compare(work / "many", work / "one")
    finish()


main()
