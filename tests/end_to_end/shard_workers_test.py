"""homolog shard as users start it: alone, with --workers, under mpirun, by hand in parts, killed and run again.

Claims: the store is the same byte for byte; what it forecasts, refuses and reports; a store of u8, zstd, another spacing and a margin verifies.
"""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time

from programs import BIN, SOURCE, check, finish, good, run

SMALL = SOURCE / "configs"
COUNT = ["--landmarks-per-study", "4", "--studies-per-landmark", "2", "--crop", "32,32,16", "--validation", "0.3"]


def tree(store):
    return {str(path.relative_to(store)): path.read_bytes() if path.is_file() else None for path in store.rglob("*")}


def words(work, out, *more):
    return ["--catalog", work / "catalog.jsonl", "--sam", work / "sam" / "sam.safetensors", "--out", work / out, *COUNT, *more]


def start(work, out, *more, prefix=(), **told):
    environment = dict(os.environ, OMP_NUM_THREADS="1", PATH=f"{BIN}:{os.environ['PATH']}", **told)
    line = [*prefix, str(BIN / "homolog-shard"), *map(str, words(work, out, *more))]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def ended(process):
    out, err = process.communicate(timeout=600)
    return process.returncode, out, err


def prepare(work):
    good("homolog-phantom", "--out", work / "set", "--count", 8, "--seed", 3, "--spacing", 5)
    good("homolog-catalog", work / "set" / "images", "--out", work / "catalog.jsonl")
    good("homolog-sam", "train", "--catalog", work / "catalog.jsonl", "--run", work / "sam", "--config", SMALL / "sam_small.ini",
         "--set", "schedule.steps=4", "--set", "schedule.warmup_steps=1")


def same_bytes(work):
    done = good("homolog-shard", *words(work, "one", "--json"))
    alone = tree(work / "one")
    report = json.loads(done.stdout)
    check("the forecast comes first", "to do" in done.stderr and "disk" in done.stderr and "at_most" in done.stderr and "free" in done.stderr, done.stderr[-500:])
    check("the report names what lossless voxels lose: nothing", report["quantisation_largest_hu"] == 0, done.stdout)
    check("a clean store", run("homolog-store", "verify", work / "one").returncode == 0)
    code, out, err = ended(start(work, "two", "--workers", "2", "--json"))
    check("two workers write the same bytes", code == 0 and tree(work / "two") == alone, err[-2000:])
    check("and show one report of all", json.loads(out)["landmarks"] == report["landmarks"], out)
    mpirun = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", "2"]
    code, out, err = ended(start(work, "mpi", "--json", prefix=mpirun))
    check("two processes of mpirun write the same bytes", code == 0 and tree(work / "mpi") == alone, err[-2000:])
    check("and show one report", out.count('"store"') == 1, out)
    parts = [start(work, "parts", "--part", f"{i}/3") for i in range(3)]
    check("three parts by hand write the same bytes", [ended(p)[0] for p in parts] == [0, 0, 0] and tree(work / "parts") == alone)
    for name, told in {"srun": lambda i: {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_ID": "0", "SLURM_PROCID": str(i)},
                       "Hydra": lambda i: {"PMI_SIZE": "2", "PMI_RANK": str(i)}}.items():
        ends = [ended(process) for process in [start(work, name, "--json", **told(i)) for i in range(2)]]
        check(f"two processes that {name} numbers write the same bytes and show one report",
              [end[0] for end in ends] == [0, 0] and tree(work / name) == alone and ends[1][1] == "", str(ends))
    return alone


def kills(work, alone):
    draw, killed = random.Random(5), 0
    for _ in range(6):
        process = start(work, "killed", "--workers", str(draw.choice([1, 2])))
        time.sleep(draw.uniform(0.5, 3))
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        ended(process)
        if (work / "killed" / "store.json").exists():
            break
    code, _, err = ended(start(work, "killed", "--workers", "3"))
    check("killed again and again, then resumed: the same bytes", killed > 0 and code == 0 and tree(work / "killed") == alone, err[-2000:])
    process = start(work, "stopped", "--workers", "2")
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    code, _, err = ended(process)
    check("stopped on request: code 75, or done before", code in (0, 75) and (code == 0 or "go on" in err), err[-2000:])


def other_settings(work):
    done = good("homolog-shard", *words(work, "u8", "--voxel", "u8", "--codec", "zstd", "--spacing", "4,4,4", "--margin", "4", "--json"))
    report = json.loads(done.stdout)
    check("u8 states its error", report["quantisation_largest_hu"] == 1 and 1.4 < report["quantisation_step_hu"] < 1.5, done.stdout)
    found = run("homolog-store", "verify", work / "u8")
    check("a store of u8, zstd, 4 mm and a margin verifies", found.returncode == 0, found.stdout + found.stderr)
    done = run("homolog-shard", *words(work, "one", "--margin", "4"))
    check("a store of other settings is not overwritten", done.returncode == 2 and "fix:" in done.stderr, done.stderr)
    # 233 GB even if compressed 64 times, on the smaller of two places.
    place = min((work, pathlib.Path("/dev/shm")), key=lambda folder: shutil.disk_usage(folder).free)
    done = run("homolog-shard", *words(work, place / "homolog-large", "--landmarks-per-study", "1800", "--crop", "1024,1024,256"))
    check("what cannot fit the disk is refused before it starts", done.returncode == 4 and "needs at least" in done.stderr, done.stderr)
    done = run("homolog-shard", *words(work, "none", "--embeddings", work / "catalog.jsonl" / "embeddings"))
    check("a folder of embeddings that cannot be made", done.returncode == 4 and "embeddings" in done.stderr and "fix:" in done.stderr, done.stderr)
    done = run("homolog-shard", *words(work, "old", "--set", "shard.points_per_study=3"))
    check("an old key is refused, the new one named", done.returncode == 2 and "shard.landmarks_per_study" in done.stderr, done.stderr)


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        prepare(work)
        alone = same_bytes(work)
        kills(work, alone)
        other_settings(work)
    finish()


main()
