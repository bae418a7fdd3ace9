"""fuzz_test.py TARGET: libFuzzer on bin/fuzz_TARGET (shard, chunk, manifest), starting from a small clean store and
from each fault of tests/unit/shard_store/faults. HOMOLOG_FUZZ_SECONDS: how long (20); HOMOLOG_FUZZ_CORPUS: a folder
that keeps what was found interesting. A crash leaves its input in the working folder, which is named."""
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py

BIN = pathlib.Path(os.environ["HOMOLOG_BIN"])
FAULTS = pathlib.Path(os.environ["HOMOLOG_SOURCE"]) / "tests/unit/shard_store/faults"


def seeds(target, stores):
    if target == "manifest":
        return [(s / "store.json").read_bytes() for s in stores if (s / "store.json").is_file()]
    shards = [s / "shard-00000.h5" for s in stores if (s / "shard-00000.h5").is_file()]
    if target == "shard":
        return [s.read_bytes() for s in shards]
    found = []
    with h5py.File(shards[0]) as f:
        for offset, size in zip(f["chunk_table"]["offset"], f["chunk_table"]["size"]):
            side = f["crops"].shape[1]
            found.append(bytes([0, side - 2]) + shards[0].read_bytes()[offset:offset + size])
    return found


def main():
    target = sys.argv[1]
    with tempfile.TemporaryDirectory(prefix="homolog_fuzz_") as folder:
        folder = pathlib.Path(folder)
        subprocess.run([BIN / "make_store", folder / "clean", "8", "4", "8"], check=True)
        (folder / "faults").mkdir()
        subprocess.run([sys.executable, FAULTS / "plant_faults.py", folder / "clean", folder / "faults"], check=True)
        corpus = folder / "corpus"
        corpus.mkdir()
        stores = [folder / "clean", *sorted(p for p in (folder / "faults").iterdir() if p.is_dir())]
        for i, seed in enumerate(seeds(target, stores)):
            (corpus / f"seed{i}").write_bytes(seed)
        kept = os.environ.get("HOMOLOG_FUZZ_CORPUS")
        command = [BIN / f"fuzz_{target}", f"-max_total_time={os.environ.get('HOMOLOG_FUZZ_SECONDS', '20')}",
                   "-rss_limit_mb=1024", "-timeout=20", "-max_len=65536", "-print_final_stats=1"]
        ended = subprocess.run([*command, *([kept] if kept else []), corpus], stderr=subprocess.PIPE, text=True,
                               errors="replace", env={**os.environ, "TMPDIR": str(folder)})
        print(ended.stderr[-4000:])
        sys.exit(1 if ended.returncode else 0)


if __name__ == "__main__":
    main()
