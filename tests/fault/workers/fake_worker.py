#!/usr/bin/env python3
"""Stands in for homolog-train in tests of the launcher: `steps` for a while, saves when asked, or
fails as FAKE_FAIL says: "RANK:exit:CODE", "RANK:signal:NUMBER", "RANK:hang". Needs no MPI."""
import os, signal, sys, time

rank = int(os.environ.get("OMPI_COMM_WORLD_RANK", os.environ.get("SLURM_PROCID", "0")))
run = sys.argv[sys.argv.index("--run") + 1]
stops = 0


def stop(*_):
    global stops
    stops += 1


time.sleep(float(os.environ.get("FAKE_DEAF_SECONDS", "0")))  # signals that come now must wait
for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT):
    signal.signal(number, stop)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
who, how, value = (os.environ.get("FAKE_FAIL", "-1:none:0") + ":0").split(":")[:3]
open(os.path.join(run, f"started-{rank}"), "a").write(" ".join(sys.argv[1:]) + "\n")
print(f"fake worker {rank} starts", file=sys.stderr, flush=True)
for step in range(int(float(os.environ.get("FAKE_SECONDS", "1")) * 20)):
    time.sleep(0.05)
    if int(who) == rank and step == 4:
        print(f"step {step}: about to {how}", file=sys.stderr, flush=True)
        if how == "exit":
            sys.exit(int(value))
        if how == "signal":
            os.kill(os.getpid(), int(value))
        if how == "save":  # progress, then a fault of the machine
            folder = os.path.join(run, "checkpoints", f"step-{time.monotonic_ns()}")
            os.makedirs(folder)
            open(os.path.join(folder, "manifest.json"), "w").close()
            sys.exit(4)
    if stops >= 2:
        sys.exit(93)  # leaves without saving, and without a checkpoint from before
    if stops == 1 and os.environ.get("FAKE_SLOW_SAVE") is None:
        open(os.path.join(run, f"saved-{rank}"), "w").close()
        time.sleep(0.2 * rank)  # ranks do not leave in the same moment
        sys.exit(75)
print(f"fake worker {rank} is done", flush=True)
