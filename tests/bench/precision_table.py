"""tests/bench/precision_table.py [--steps N] [--seed S] [--json FILE] [--folder DIR]: how far bf16 leads away from float32.

Trains a small Alice twice from one seed, on a small store made with the commands a user types, once with
cluster.precision=float32 and once with bf16, and prints as Markdown, at a few steps: every loss term and
the gradient norm of both, and the relative distance ||bf16 - float32|| / ||float32|| of weights, of what
training changed in them, and of the target. A second float32 run with the pairs summed in another order
(data.accumulate) is the measure of what rounding alone does. One run at a time, one thread.
"""
import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file

AT = [1, 10, 50, 100, 200]
SHARD = ["shard.crop=32,32,32"]
RECIPE = ["model.nnformer.embed=4", "model.nnformer.heads=1,2,4,8", "model.nnformer.depths=1,1,1,1", "objective.alice.hidden=128",
          "objective.alice.bottleneck=64", "objective.alice.outputs=128", "objective.alice.casa_heads=2",
          "objective.alice.casa_head_width=32", "objective.alice.casa_hidden=128", "schedule.validate_every=0",
          "checkpoint.every_s=0", "checkpoint.keep=1000", "cluster.deterministic=true"]


def run(command):
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    done = subprocess.run(["nice", *map(str, command)], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stderr[-2000:]}")


def sets(settings):
    return [word for setting in settings for word in ("--set", setting)]


def make_store(bin_folder, folder):
    run([bin_folder / "homolog-phantom", "--out", folder / "phantoms", "--count", 6, "--seed", 3])
    run([bin_folder / "homolog-catalog", folder / "phantoms" / "images", "--out", folder / "catalog.jsonl"])
    run([bin_folder / "homolog-sam", "train", "--catalog", folder / "catalog.jsonl", "--run", folder / "sam", "--config",
         "configs/sam_small.ini", *sets(["schedule.steps=4", "schedule.warmup_steps=1"])])
    run([bin_folder / "homolog-shard", "--catalog", folder / "catalog.jsonl", "--sam", folder / "sam" / "sam.safetensors",
         "--out", folder / "store", "--config", "configs/shard_small.ini", *sets(SHARD)])


def train(bin_folder, folder, name, steps, seed, settings):
    """Steps 1, 10, ... each end a checkpoint: {step: (loss lines, tensors by file)}."""
    out = {}
    for at in sorted({*[s for s in AT if s <= steps], steps}):
        left = at - max(out, default=0)
        words = ["--config", "configs/alice_small.ini", "--data.store", folder / "store", "--run", folder / name,
                 "--max-steps-this-run", left if at < steps else 0, *sets(RECIPE + settings),
                 *sets([f"schedule.steps={steps}", f"data.seed={seed}"])]
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        done = subprocess.run(["nice", str(bin_folder / "homolog-train"), *map(str, words)], capture_output=True,
                              text=True, env=environment)
        if done.returncode not in (0, 75):
            sys.exit(f"homolog-train ended with {done.returncode}\n{done.stderr[-2000:]}")
        checkpoint = folder / name / "checkpoints" / f"step-{at:08d}"
        out[at] = {kind: load_file(checkpoint / f"{kind}.safetensors") for kind in ("model", "target", "objective")}
    lines = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
    return {"at": out, "lines": {line["step"] + 1: line for line in lines if "total" in line and "terms" in line}}


def distance(a, b, start=None):
    apart = sum(float((a[k].double() - b[k].double()).square().sum()) for k in a)
    size = sum(float((a[k].double() - (start[k].double() if start else 0)).square().sum()) for k in a)
    return math.sqrt(apart / size) if size else 0.0


def values(line):
    return {"total": line["total"], **line["terms"], "gradient norm": line["grad_norm"]}


def table(wide, narrow, floor, steps):
    rows, names = [], None
    for at in sorted(wide["at"]):
        a, b, c = (values(r["lines"][at]) for r in (wide, narrow, floor))
        names = list(a)
        start = wide["at"][min(wide["at"])]["model"] if at > min(wide["at"]) else None
        row = {"step": at, "float32": a, "bf16": b, "reordered": c}
        for kind in ("model", "target", "objective"):
            row[kind] = distance(wide["at"][at][kind], narrow["at"][at][kind])
            row[kind + " reordered"] = distance(wide["at"][at][kind], floor["at"][at][kind])
        if start:
            row["change"] = distance(wide["at"][at]["model"], narrow["at"][at]["model"], start)
            row["change reordered"] = distance(wide["at"][at]["model"], floor["at"][at]["model"], start)
        rows.append(row)
    last = range(max(1, steps - 19), steps + 1)

    def mean(run, name):
        return sum(values(run["lines"][step])[name] for step in last) / len(last)

    means = {"step": f"mean of {last[0]} to {last[-1]}"}
    for key, run in (("float32", wide), ("bf16", narrow), ("reordered", floor)):
        means[key] = {name: mean(run, name) for name in names}
    return names, rows, means


def relative(row, name, other):
    a, b = row["float32"][name], row[other][name]
    return abs(b - a) / abs(a) if a else abs(b - a)


def show(names, rows, means):
    print("| step | value | float32 | bf16 | relative deviation | of float32 in another order |")
    print("|---|---|---|---|---|---|")
    for row in [*rows, means]:
        for name in names:
            print(f"| {row['step']} | {name} | {row['float32'][name]:.5g} | {row['bf16'][name]:.5g} | "
                  f"{relative(row, name, 'bf16'):.1e} | {relative(row, name, 'reordered'):.1e} |")
    print("\n| step | weights | what training changed since step 1 | target | centres | weights, another order | change, another order |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        change = f"{row['change']:.1e}" if "change" in row else "-"
        floor = f"{row['change reordered']:.1e}" if "change reordered" in row else "-"
        print(f"| {row['step']} | {row['model']:.1e} | {change} | {row['target']:.1e} | {row['objective']:.1e} | "
              f"{row['model reordered']:.1e} | {floor} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.environ.get("HOMOLOG_BIN", "build/cuda/bin"))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=123)
    parser.add_argument("--json")
    parser.add_argument("--folder", help="keep store and runs here; a store that lies here is used again")
    options = parser.parse_args()
    bin_folder, folder = pathlib.Path(options.bin).resolve(), pathlib.Path(options.folder or tempfile.mkdtemp(prefix="homolog-precision-"))
    torch.set_num_threads(1)
    try:
        if not (folder / "store").exists():
            make_store(bin_folder, folder)

        def one(name, *settings):
            return train(bin_folder, folder, name, options.steps, options.seed, list(settings))
        wide = one("float32", "data.batch=2")
        narrow = one("bf16", "data.batch=2", "cluster.precision=bf16")
        floor = one("reordered", "data.batch=1", "data.accumulate=2")
        names, rows, means = table(wide, narrow, floor, options.steps)
    finally:
        if not options.folder:
            shutil.rmtree(folder, ignore_errors=True)
    show(names, rows, means)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps([*rows, means], indent=1) + "\n")


if __name__ == "__main__":
    main()
