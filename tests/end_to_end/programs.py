"""What the scripts of this folder share: they run the built programs, and check claims about them."""
import os
import pathlib
import subprocess
import sys

BIN = pathlib.Path(os.environ["HOMOLOG_BIN"])
SOURCE = pathlib.Path(os.environ["HOMOLOG_SOURCE"])
failures = []


def run(program, *words, timeout=600, **options):
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", PATH=f"{BIN}:{os.environ['PATH']}")
    return subprocess.run([str(BIN / program), *map(str, words)], capture_output=True, text=True, timeout=timeout, env=environment,
                          **options)


def good(program, *words, **options):
    """A step that must succeed; without it the claims that follow mean nothing."""
    done = run(program, *words, **options)
    if done.returncode:
        sys.exit(f"{program} {' '.join(map(str, words))}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done


def check(name, holds, detail=""):
    """`detail` is shown where the claim does not hold."""
    print(f"{'ok  ' if holds else 'FAIL'} {name}", flush=True)
    if not holds:
        failures.append(name)
        print(f"     {detail}", flush=True)


def finish():
    print(f"{len(failures)} claims do not hold" if failures else "all claims hold")
    sys.exit(bool(failures))
