"""Every mistake in the table gives its exit code, and a message that names what, where and what to do.

No half-written artefact may be left under its final name. Uses the programs a user types, on phantoms.
"""
import json
import os
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import tempfile

import h5py

import programs
from programs import SOURCE, finish

SMALL = SOURCE / "configs"
work = pathlib.Path(tempfile.mkdtemp(prefix="homolog-bad-input-"))


def homolog(*words, **options):
    return programs.run("homolog", *words, timeout=300, cwd=work, **options)


def good(*words):
    return programs.good("homolog", *words, timeout=300, cwd=work)


def check(name, done, code, *fragments, absent=()):
    text = done.stdout + done.stderr
    missing = [f for f in fragments if f.lower() not in text.lower()]
    left = [str(path) for path in absent if path.exists()]
    programs.check(f"{name}: exit {done.returncode}", done.returncode == code and not missing and not left,
                   f"expected exit {code}, fragments missing {missing}, left behind {left}\n     said: {text.strip()[-900:]}")


def full_disk(most=0):
    """In the child: files end at `most` bytes, and the write says so instead of a signal."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def scans_in():
    out = work / "none.jsonl"
    check("missing folder", homolog("catalog", work / "nowhere", "--out", out), 3, "nowhere", "fix:", absent=[out])
    (work / "empty").mkdir()
    check("empty folder", homolog("catalog", work / "empty", "--out", out), 3, "empty", "fix:", absent=[out])
    (work / "texts").mkdir()
    (work / "texts" / "notes.txt").write_text("no scan here")
    (work / "texts" / "broken.nii.gz").write_text("this is not gzip")
    check("no CT in the folder", homolog("catalog", work / "texts", "--out", out), 3, "broken.nii.gz", "looked at 2 files", "fix:")
    check("output is a folder", homolog("catalog", work / "texts", "--out", work / "texts"), 4, "--out", "is a folder", "fix:")
    check("output in no folder", homolog("catalog", work / "texts", "--out", work / "nobody" / "c.jsonl"), 4, "--out", "no folder", "fix:")
    (work / "tight").mkdir()
    full = homolog("catalog", work / "texts", "--out", work / "tight" / "c.jsonl", preexec_fn=full_disk)
    check("no space for the key", full, 4, "catalog.key", "file too large", "fix:", absent=[work / "tight" / "catalog.key"])
    check("no space for phantoms", homolog("phantom", "--out", work / "full", "--count", 1, "--spacing", 6, preexec_fn=lambda: full_disk(50_000)),
          4, "phantom-0000.nii.gz", "no space left", "fix:", absent=[work / "full" / "landmarks.json"])


def options():
    check("unknown command", homolog("lanch"), 2, "launch")
    check("unknown option", homolog("catalog", ".", "--outt", "x"), 2, "outt", "out")
    check("option out of range", homolog("phantom", "--out", work / "p", "--count", "0"), 2, "count", "1 to 9999",
          absent=[work / "p"])
    ini = work / "typo.ini"
    ini.write_text("[optimizer]\nclipp = 3\n")
    check("unknown key in a file", homolog("train", "--config", ini, "--run", work / "r"), 2, "typo.ini:2", "optimizer.clip")
    store = ("--set", "data.store=store", "--run", work / "r")
    check("--overwrite without --resume none, only checked", homolog("train", "--check-config", *store, "--overwrite"), 2, "--resume none",
          absent=[work / "r"])
    check("--from without --resume exact, only checked", homolog("train", "--check-config", *store, "--from", work), 2, "--resume exact",
          absent=[work / "r"])
    check("warm-up as long as the run, only checked", homolog("train", "--check-config", *store, "--set", "schedule.steps=6", "--set",
          "schedule.warmup_steps=10"), 2, "warm-up", "fix:", absent=[work / "r"])
    for bad in ("schedule.validate_every=1", "objective.sam.coarse_stride=4,12,12"):
        check(f"sam train, {bad}, only checked", homolog("sam", "train", "--check-config", "--catalog", "c", "--run", work / "r", "--set", bad),
              2, bad.split("=")[0], "fix:", absent=[work / "r"])
    check("no such configuration", homolog("train", "--config", work / "no.ini", "--run", work / "r"), 2, "no.ini", "fix:")


def prepare():
    good("phantom", "--out", "ph", "--count", 3, "--seed", 5)
    good("catalog", "ph/images", "--out", "three.jsonl")
    good("sam", "train", "--catalog", "three.jsonl", "--run", "sam", "--config", SMALL / "sam_small.ini",
         "--set", "schedule.steps=2", "--set", "schedule.warmup_steps=1")
    lines = (work / "three.jsonl").read_text().splitlines()
    (work / "one.jsonl").write_text(lines[0] + "\n")


def disk_full(*shard):
    """A disk with room for the 4 MiB that a shard reserves ahead, and for half of the smallest shard."""
    room = (4 << 20) + min(path.stat().st_size for path in (work / "store").glob("*.h5")) // 2
    small = work / "small-disk"
    small.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", str(small)], capture_output=True).returncode:
        print("SKIP disk full while sharding: this machine allows no tmpfs mount")
        return
    try:
        done = homolog(*shard, small / "store")
        left = [p for p in (small / "store").glob("*") if p.suffix == ".h5" or p.name == "store.json"]
        check("disk full while sharding", done, 4, "space", "fix:", absent=left)
    finally:
        subprocess.run(["umount", str(small)], check=False)


def sharding():
    shard = ("shard", "--sam", "sam/sam.safetensors", "--config", SMALL / "shard_small.ini", "--set", "shard.threshold=-1")
    check("one study only", homolog(*shard, "--catalog", "one.jsonl", "--out", "s1"), 3, "1 usable", "fix:", absent=[work / "s1" / "store.json"])
    check("crops mostly outside the body", homolog(*shard, "--catalog", "three.jsonl", "--out", "s2", "--set", "shard.crop=256,256,512"),
          3, "outside", "fix:", absent=[work / "s2" / "store.json"])
    good(*shard, "--catalog", "three.jsonl", "--out", "store")
    disk_full(*shard, "--catalog", "three.jsonl", "--out")
    missing = [json.loads(line) for line in (work / "three.jsonl").read_text().splitlines()]
    missing[2]["files"] = [str(work / "gone.nii.gz")]
    (work / "missing.jsonl").write_text("".join(json.dumps(line) + "\n" for line in missing))
    done = homolog(*shard, "--catalog", "missing.jsonl", "--out", "s3", "--json")
    check("one scan of three is gone: the others are paired", done, 0, '"studies_left_out":1', missing[2]["id"])
    done = homolog("sam", "train", "--catalog", "missing.jsonl", "--run", "sam3", "--config", SMALL / "sam_small.ini",
                   "--set", "schedule.steps=2", "--set", "schedule.warmup_steps=1")
    check("one scan of three is gone: SAM trains on the others", done, 0, "left out", missing[2]["id"])
    shutil.copytree(work / "store", work / "damaged")
    for name in (work / "damaged").glob("*.h5"):
        with h5py.File(name) as shard_file:
            places = [shard_file["crops"].id.get_chunk_info(i) for i in range(shard_file["crops"].id.get_num_chunks())]
        with open(name, "r+b") as raw:
            for place in places:
                raw.seek(place.byte_offset + place.size // 2)
                byte = raw.read(1)[0]
                raw.seek(-1, os.SEEK_CUR)
                raw.write(bytes([byte ^ 0x10]))
    check("bench of a damaged store", homolog("store", "bench", "damaged", "--threads", 2, "--seconds", "0.5"), 3, "crop", "fix:")
    done = homolog(*shard, "--catalog", "three.jsonl", "--out", "store", "--set", "shard.landmarks_per_study=3", "--set", "shard.crop=32,32,32")
    check("a store of other settings is there", done, 2, "store", "fix:")
    shutil.copytree(work / "store", work / "future")
    manifest = work / "future" / "store.json"
    manifest.write_text(manifest.read_text().replace('"version": 2', '"version": 99'))
    check("store of another version", homolog("store", "inspect", "future"), 3, "99", "version")
    check("store of another version, training", homolog("train", "--config", SMALL / "alice_small.ini", "--run", "r9", "--set", "data.store=future"), 3, "99", "version")
    check("no store", homolog("train", "--config", SMALL / "alice_small.ini", "--run", "r9", "--set", "data.store=nostore"), 3, "nostore", "fix:")


def monitoring():
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        (work / "run").mkdir(exist_ok=True)
        check("port in use", homolog("monitor", "--run", "run", "--port", port), 4, str(port), "fix:")
    check("report of no run", homolog("report", "no-such-run"), 3, "no-such-run", "fix:")
    check("export of no run", homolog("export", "no-such-run", "--out", "w.safetensors"), 3, "no-such-run", "fix:", absent=[work / "w.safetensors"])


try:
    scans_in()
    options()
    prepare()
    sharding()
    monitoring()
finally:
    shutil.rmtree(work, ignore_errors=True)
finish()
