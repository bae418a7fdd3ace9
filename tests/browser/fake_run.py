"""Publishes boards and appends metrics.jsonl like a run of some ranks, without training.

Written from LAYOUT.md alone, in another language, so that it also checks that document.
  fake_run.py --run DIR [--ranks 2] [--steps 400] [--seconds 0.05] [--total 1000] [--hold 5] [--end done|crash]
"""
import argparse
import ctypes
import json
import math
import mmap
import os
import random
import struct
import time

MAGIC, VERSION, PAGE, SLOT = 0x647261_6F626D68, 2, 1616, 776
PARTS = ["data_wait", "h2d", "forward", "backward", "allreduce_exposed", "clip", "optimizer", "ema",
         "checkpoint_block", "other"]
INIT, TRAIN, SAVE, DONE = 0, 1, 3, 5


def board_path(run, rank):
    path = os.path.realpath(run).encode()
    xxh = ctypes.CDLL("libxxhash.so.0")
    xxh.XXH3_64bits.restype = ctypes.c_uint64
    xxh.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return f"/dev/shm/homolog-{xxh.XXH3_64bits(path, len(path)):016x}-{rank}"


class Board:
    def __init__(self, run, rank):
        path = board_path(run, rank)
        if os.path.exists(path):
            os.unlink(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.ftruncate(descriptor, PAGE)
        self.page = mmap.mmap(descriptor, PAGE)
        self.sequence = 0
        start = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19])
        struct.pack_into("<QQQ", self.page, 8, VERSION << 32 | PAGE, os.getpid(), start)
        struct.pack_into("<Q", self.page, 0, MAGIC)

    def publish(self, report):
        self.sequence += 1
        at = 64 + SLOT * (self.sequence % 2)
        self.page[at:at + SLOT] = report
        struct.pack_into("<Q", self.page, 32, self.sequence)


def pack(r):
    """A StepReport from a dictionary, in the order of board.h."""
    terms = list(r["terms"].items())
    out = struct.pack("<3q2I6q3d", r["rank"], r["rank"], r["world"], r["phase"], len(terms), r["step"], r["total"],
                      r["epoch"], r["epochs"], r["steps_per_epoch"], 0, r["started"], r["last"], r["seconds"])
    out += struct.pack("<10d", *r["parts"]) + struct.pack("<4Q", r["step"], 4 * r["step"], r["skipped"], r["skipped"])
    for name, value in terms + [("", 0.0)] * (12 - len(terms)):
        out += struct.pack("<24sd", name.encode(), value)
    out += struct.pack("<5d", r["lr"], 0.04, r["ema"], 0.04, r["norm"])
    out += struct.pack("<dQ5Q2q", 0.02 * r["step"], 5_000_000 * r["step"], 9_000_000 * r["step"],
                       19_000_000 * r["step"], 1 if r["step"] > 100 else 0, 0, 0, r["queue"], 8)
    out += struct.pack("<2d3q2dQ", r["saved"], 0.4, r["saved_step"], 86_000_000, 0, r["validation"], r["validation"],
                       1_450_000_000 + 1000 * r["step"])
    assert len(out) == SLOT, len(out)
    return out


def state_at(step, total, rng, rank, seconds):
    x = step / total
    inter = 5.2 * math.exp(-4 * x) + 2.2 + rng.gauss(0, 0.12)
    intra = 4.1 * math.exp(-5 * x) + 1.7 + rng.gauss(0, 0.1)
    reconstruction = 0.9 * math.exp(-7 * x) + 0.12 + rng.gauss(0, 0.015)
    acc = min(1, max(0, 0.9 * x + rng.gauss(0, 0.05)))  # a share, no part of the total
    parts = [s * seconds * (1 + 0.2 * rng.random()) for s in (0.11 + 0.06 * rank, 0.03, 0.24, 0.4, 0.08, 0.01, 0.05, 0.02, 0.01, 0.02)]
    warm = min(1, step / (0.1 * total))
    return {"terms": {"total": inter + intra + reconstruction, "inter": inter, "intra": intra,
                      "reconstruction": reconstruction, "acc": acc},
            "lr": 8e-4 * warm * (0.5 + 0.5 * math.cos(math.pi * max(0, (x - 0.1) / 0.9))), "ema": 0.994 + 0.006 * x,
            "norm": 2.4 * math.exp(-2 * x) + 0.6 + abs(rng.gauss(0, 0.25)), "parts": parts}


def write_head(run, ranks, total):
    os.makedirs(os.path.join(run, "checkpoints"), exist_ok=True)
    with open(os.path.join(run, "config.ini"), "w") as out:
        out.write(f"[data]\nstore = stores/phantoms\nthreads = 1\n\n[schedule]\nsteps = {total}\n")
    with open(os.path.join(run, "manifest.json"), "w") as out:
        json.dump({"version": "0.1.0", "commit": "fake", "world": ranks, "store_hash": "00c0ffee00c0ffee", "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}, out)


def save(run, step):
    folder = os.path.join(run, "checkpoints", f"step-{step:08d}")
    os.makedirs(folder, exist_ok=True)
    for name in ("model", "target"):
        with open(os.path.join(folder, f"{name}.safetensors"), "wb") as out:
            out.write(b"\0" * 4096)
    with open(os.path.join(folder, "manifest.json"), "w") as out:
        json.dump({"step": step}, out)


def worker(a, rank):
    rng, board, log = random.Random(rank), Board(a.run, rank), None
    if rank == 0:
        log = open(os.path.join(a.run, "metrics.jsonl"), "a", buffering=1)
    started, totals, per_epoch = time.time(), [0.0] * 10, max(1, a.total // 10)
    saved, saved_step, validation, report = 0.0, 0, 0.0, {}
    for step in range(a.start + 1, a.start + a.steps + 1):
        s = state_at(step, a.total, rng, rank, a.seconds)
        totals = [x + y for x, y in zip(totals, s["parts"])]
        seconds = sum(s["parts"])
        if step % 50 == 0:
            saved, saved_step = time.time(), step
            if rank == 0:
                save(a.run, step)
        epoch = (step - 1) // per_epoch
        report = dict(s, rank=rank, world=a.ranks, phase=TRAIN, step=step, total=a.total, epoch=epoch, epochs=10,
                      steps_per_epoch=per_epoch, started=started, last=time.time(), seconds=seconds, parts=totals,
                      skipped=1 if step > 120 else 0, queue=rng.randrange(2, 8), saved=saved, saved_step=saved_step,
                      validation=validation)
        if log:
            terms = dict(s["terms"])
            log.write(json.dumps({"step": step - 1, "epoch": epoch, "total": terms.pop("total"), "terms": terms,
                                  "lr": s["lr"], "wd": 0.04, "ema": s["ema"], "grad_norm": s["norm"],
                                  "seconds": seconds, "parts": dict(zip(PARTS, s["parts"])),
                                  "pairs_per_s": 4 * a.ranks / seconds, "skipped": step == 120}) + "\n")  # step: its index
            if step % per_epoch == 0:
                validation = s["terms"]["total"] * 1.06
                log.write(json.dumps({"step": step - 1, "validation": {"total": validation}}) + "\n")
        board.publish(pack(report))
        time.sleep(a.seconds if a.sleep is None else a.sleep)
    if a.end == "crash" and rank == a.ranks - 1:
        os._exit(1)
    if a.hold and a.end != "done":
        time.sleep(a.hold)
    board.publish(pack(dict(report, phase=DONE)))
    time.sleep(a.hold if a.end == "done" else 0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", required=True)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--start", type=int, default=0, help="step from which the run resumes")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--total", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.05, help="of a step, as told")
    parser.add_argument("--sleep", type=float, help="of a step, in truth")
    parser.add_argument("--hold", type=float, default=0, help="seconds to stay alive after the last step")
    parser.add_argument("--end", choices=["done", "crash", "train"], default="done")
    a = parser.parse_args()
    write_head(a.run, a.ranks, a.total)
    children = []
    for rank in range(a.ranks):
        child = os.fork()
        if child == 0:
            ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL: no worker outlives this program
            worker(a, rank)
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
