"""Real scans go the whole way: catalogue, SAM, pairs, two workers, weights that Python's safetensors reads.

Uses ../shared/ct (HOMOLOG_SHARED overrides): two whole chests as DICOM, an abdomen as NIfTI, and all the
encodings beside them. Without that folder it skips, saying so.
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile

from programs import SOURCE, good

scans = pathlib.Path(os.environ.get("HOMOLOG_SHARED", SOURCE.parent / "shared")) / "ct"
if not scans.is_dir():
    print(f"SKIPPED: no real scans at {scans}; set HOMOLOG_SHARED to the folder that holds ct/")
    sys.exit(77)
work = pathlib.Path(tempfile.mkdtemp(prefix="homolog-real-"))


def homolog(*words):
    print("$ homolog", *words, flush=True)
    return good("homolog", *words, timeout=None, cwd=work).stdout


def main():
    homolog("catalog", scans, "--out", "all.jsonl")
    lines = [json.loads(line) for line in (work / "all.jsonl").read_text().splitlines()]
    usable = [line for line in lines if line["verdict"] != "reject"]
    refused = [line for line in lines if line["verdict"] == "reject"]
    print(f"{len(usable)} usable, {len(refused)} refused")
    assert all(line["reason"] for line in refused), "a refused input does not say why"
    found = {line["format"] for line in usable + [r for r in refused if "duplicate" in str(r["reason"])]}
    assert {"dicom", "nifti", "nrrd", "meta"} <= found, f"formats found: {found}"

    def of(*names):
        return [line for line in usable if any(f"/{name}/" in str(line["files"][0]) for name in names)]

    chosen = of("lungdx-a0001", "lungdx-a0002", "ts-abdomen")
    assert len(chosen) >= 3, [line["files"][0] for line in usable]
    (work / "three.jsonl").write_text("".join(json.dumps(line) + "\n" for line in chosen))
    homolog("sam", "train", "--catalog", "three.jsonl", "--run", "sam", "--config", SOURCE / "configs/sam_small.ini",
            "--set", "schedule.steps=6", "--set", "schedule.warmup_steps=2")
    homolog("shard", "--catalog", "three.jsonl", "--sam", "sam/sam.safetensors", "--out", "store", "--config",
            SOURCE / "configs/shard_small.ini", "--set", "shard.landmarks_per_study=4", "--set", "shard.validation=0")
    homolog("store", "verify", "store")
    text = b"".join(path.read_bytes() for path in (work / "store").glob("*"))
    for word in (b"Lung_Dx", b"LIDC", b"SIEMENS", b"Philips"):
        assert word not in text, f"{word} of the scans' headers is in the store"
    homolog("launch", "--config", SOURCE / "configs/alice_small.ini", "--set", f"data.store={work / 'store'}", "--run", "alice",
            "--workers", "2", "--set", "schedule.steps=3", "--set", "schedule.warmup_steps=1", "--set", "data.batch=1",
            "--set", "monitor.enabled=false")
    steps = [json.loads(line) for line in (work / "alice/metrics.jsonl").read_text().splitlines()]
    assert len([line for line in steps if "total" in line]) == 3
    homolog("export", "alice", "--out", "encoder.safetensors", "--layout", "reference")
    assert str(work).encode() not in (work / "encoder.safetensors").read_bytes(), "the exported file names a folder of this machine"
    homolog("report", "alice")
    from safetensors.numpy import load_file

    weights = load_file(work / "encoder.safetensors")
    assert len(weights) > 100 and all((abs(value) < 1e6).all() for value in weights.values() if value.size)
    print(f"{len(weights)} tensors exported")


try:
    main()
finally:
    shutil.rmtree(work, ignore_errors=True)
