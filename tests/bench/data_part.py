"""Part `data` of ./run bench: the pair stream against other loaders, against the codec alone, and against the disk.

Ours is training's stream (one decoding thread, every checksum checked; the consumer is a second thread on the same core) on a store that the store's own writer made; the
peers read the same crops. All on one core, warm unless the row says cold, ours and the peer in turns. `vs_codec` compares with
Blosc decoding the same chunks from memory, which reads and checks nothing; `cold_vs_dd` with dd over the same files.
"""
import json
import os
import pathlib
import statistics
import sys
import time

from data import ct_like

PAIRS, CROP = 48, (192, 192, 64)  # x, y, z
STEP_CROP = (64, 64, 32)  # of the training step: small, as a fast step has least time to hide the loader
RAW_BYTES = 2 * 2 * CROP[0] * CROP[1] * CROP[2]  # of a pair as int16
WORKERS, AHEAD = (0, 1, 2), (1, 2, 4)  # each side has the best of its own
GOALS = {"vs_h5py_gzip4": 30, "vs_h5py_blosc": 4, "vs_mds": 3, "vs_codec": 0.9, "f32_vs_memmap": 8, "cold_vs_dd": 0.9}
HERE = pathlib.Path(__file__).resolve().parent / "data"


def on_one_core(words, run, core=0):
    return run(["taskset", "-c", core, *words], env=dict(os.environ, OMP_NUM_THREADS="1"))


def told(row):
    """Shows each row's outcome when it is known: the part takes ten minutes."""
    def make(part, name, *values, **options):
        made = row(part, name, *values, **options)
        against = "" if made["peer"] is None else f", peer {made['peer']:.4g}, ratio {made['ratio']:.3g}"
        print(f"  {part} {name}: {made['ours']:.4g} {made['unit']}{against}", file=sys.stderr, flush=True)
        return made
    return make


class DataPart:
    def __init__(self, binaries, folder, repeats, run, row):
        self.bin, self.folder, self.repeats, self.run, self.row = binaries, folder / "data", repeats, run, told(row)
        self.store, self.peers, self.ahead = self.folder / "store", self.folder / "peers", 4

    def ours(self, mode, *words):
        words = [self.bin / "bench_stream", self.store, "--mode", mode, "--ahead", self.ahead, *words]
        return json.loads(on_one_core(words, self.run))

    def pack(self, crop, store):
        """A store of CT-like crops; returns their raw HU."""
        hu = self.folder / f"{store.name}.i16"
        ct_like.crops(PAIRS, crop[::-1]).tofile(hu)
        self.run([self.bin / "bench_pack_store", hu, "--pairs", PAIRS, "--crop", ",".join(map(str, crop)), "--out", store])
        return hu

    def warm(self, mode):
        """The best of three passes after one that warms the page cache, as the peers' are."""
        return max(self.ours(mode, "--passes", 4)["pairs_per_s"][1:])

    def peer(self, name, workers, *words):
        return json.loads(on_one_core([sys.executable, HERE / "peers.py", "run", self.peers, name, workers, *words], self.run))

    def make(self):
        self.folder.mkdir()
        hu = self.pack(CROP, self.store)
        self.run([sys.executable, HERE / "peers.py", "make", self.peers, hu, PAIRS, ",".join(map(str, CROP))])
        hu.unlink()
        self.ahead = max(AHEAD, key=lambda ahead: max(self.ours("pairs", "--passes", 2, "--ahead", ahead)["pairs_per_s"]))

    def against(self, name, formats, mode, words=()):
        """Each against that peer's best number of workers."""
        best, ours, theirs = {}, [], []
        for workers in WORKERS:
            best[workers] = max(self.peer(formats, workers, "--passes", 1, *words)["pairs_per_s"])
        workers = max(best, key=best.get)
        for _ in range(self.repeats):
            ours.append(self.warm(mode))
            theirs.append(max(self.peer(formats, workers, *words)["pairs_per_s"]))
        return self.row("data", name, ours, theirs, "pairs/s", goal=GOALS[name], note=f"ours {self.ahead} batches ahead, the best of {AHEAD}; peer with {workers} workers, the best of {WORKERS}")

    def codec(self):
        turns = [(self.warm("pairs"), self.warm("codec")) for _ in range(self.repeats)]
        return self.row("data", "vs_codec", [t[0] for t in turns], [t[1] for t in turns], "pairs/s", goal=GOALS["vs_codec"],
                        note="peer: the same chunks decoded by Blosc from memory, not read, not checked")

    def copy(self):
        """What memory allows here: a ratio near 1 leaves no reader of lz4 anything to gain."""
        turns = [(self.warm("pairs"), self.warm("copy")) for _ in range(self.repeats)]
        return self.row("data", "vs_copy", [t[0] for t in turns], [t[1] for t in turns], "pairs/s",
                        note="the limit of memory: as many decoded bytes copied into as many batches, nothing read, decoded or checked")

    def shards(self):
        return sorted(self.store.glob("shard-*.h5"))

    def drop(self):
        for file in self.shards():
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)

    def cold(self):
        ours, cached, dd, size = [], [], [], sum(f.stat().st_size for f in self.shards())
        for _ in range(self.repeats):
            self.drop()
            # Past the page cache every pass is cold; the first one finds the program's own memory new.
            passes = self.ours("pairs", "--passes", 6, "--pass-page-cache", 1)["pairs_per_s"]
            ours.append(statistics.median(passes[1:]) * size / PAIRS / 1e9)
            cached.append(self.ours("pairs", "--passes", 1)["pairs_per_s"][0] * size / PAIRS / 1e9)
            self.drop()
            start = time.perf_counter()
            for file in self.shards():
                self.run(["dd", f"if={file}", "of=/dev/null", "bs=2M", "status=none"])
            dd.append(size / (time.perf_counter() - start) / 1e9)
        return self.row("data", "cold_vs_dd", ours, dd, "GB/s", goal=GOALS["cold_vs_dd"],
                        note="compressed bytes read from disk a second, in shuffled order, past the page cache as where a store is larger than memory "
                             f"(through it {statistics.median(cached):.2f}); peer: dd of the same files, in order")

    def sizes(self):
        size = sum(f.stat().st_size for f in self.shards()) / (PAIRS * RAW_BYTES)
        rows = [self.limit("bytes_vs_raw", [size], 0.42, "of int16", "CT-like crops, lossless")]
        real = self.real_store()
        if real is None:
            rows.append(self.limit("bytes_vs_raw_real", [], 0.45, "of int16", "not measured: no ../shared/ct"))
        else:
            facts = json.loads(self.run([self.bin / "homolog-store", "inspect", real, "--json"]))
            x, y, z = facts["crop_xyz"]
            rows.append(self.limit("bytes_vs_raw_real", [facts["bytes"] / (facts["crops"] * x * y * z * 2)], 0.45, "of int16",
                                   "real scans through catalog, sam, shard; lossless"))
        return rows

    def real_store(self):
        scans = pathlib.Path(os.environ.get("HOMOLOG_SHARED", HERE.parents[3] / "shared")) / "ct"
        if not scans.is_dir():
            return None
        f = self.folder
        self.run([self.bin / "homolog-catalog", scans, "--out", f / "real.jsonl"])
        self.run([self.bin / "homolog-sam", "train", "--catalog", f / "real.jsonl", "--run", f / "real-sam", "--config",
                  "configs/sam_small.ini", "--set", "schedule.steps=4", "--set", "schedule.warmup_steps=1"])
        self.run([self.bin / "homolog-shard", "--catalog", f / "real.jsonl", "--sam", f / "real-sam" / "sam.safetensors", "--out",
                  f / "real", "--config", "configs/shard_small.ini", "--set", "shard.crop=96,96,48"])
        return f / "real"

    def limit(self, name, values, most, unit, note):
        """A row whose goal is not to be exceeded."""
        if not values:
            return {"part": "data", "name": name, "ours": None, "peer": None, "ratio": None, "spread": 0.0, "goal": most, "met": None,
                    "unit": unit, "note": note}
        row = self.row("data", name, values, unit=unit, note=note)
        return row | {"goal": most, "met": row["ours"] <= most}

    def step(self):
        """Each step waits for its batch in the one case, has it in memory in the other; the loader's thread has a core of its own."""
        store = self.folder / "step-store"
        self.pack(STEP_CROP, store).unlink()
        words = [self.bin / "bench_stream", store, "--mode", "step", "--passes", 21, "--batch", 1]
        turns = [json.loads(self.run(words, env=dict(os.environ, OMP_NUM_THREADS="1"))) for _ in range(self.repeats)]
        ratios = [statistics.median(t["streamed_s"]) / statistics.median(t["resident_s"]) for t in turns]
        return self.limit("step_overhead", ratios, 1.01, "ratio", "a ResNet's step on 64x64x32 with the stream, over one with resident data; the loader has a core")

    def million(self):
        """A store of 10^6 pairs (small crops, one shard listed many times) is opened by homolog store inspect; all of it is timed."""
        pairs, copies, crop = 8192, 123, (8, 8, 4)
        hu, store = self.folder / "million.i16", self.folder / "million"
        ct_like.noise(2 * pairs, crop[::-1]).tofile(hu)
        self.run([self.bin / "bench_pack_store", hu, "--pairs", pairs, "--pairs-per-shard", pairs, "--copies", copies, "--crop",
                  ",".join(map(str, crop)), "--out", store])
        turns = [json.loads(self.run([sys.executable, HERE / "peak.py", self.bin / "homolog-store", "inspect", store, "--json"]))
                 for _ in range(self.repeats)]
        note = f"{pairs * copies} pairs in {copies} shards: homolog store inspect, the whole process"
        return [self.limit("million_open_s", [t["seconds"] for t in turns], 1, "s", note),
                self.limit("million_mib", [t["peak_mib"] for t in turns], 100, "MiB", note)]

    def order(self):
        """Arithmetic, not time: what data.order_block=64, order_mixed=64 costs of the shuffle, over 100,000 pairs in batches of 64."""
        quality = json.loads(self.run([self.bin / "bench_order", 100000, 64, 64, 64]))
        notes = {"spread": "of a batch over the store; 1: as far as can be", "together": "couples that meet again, over chance",
                 "ranges": "of neighbours read, for 100 pairs of 100 batches in a row"}
        return [self.row("data", f"order_{name}", [quality["local"][name]], [quality["whole"][name]], "",
                         better="more" if name == "spread" else "less", note=f"{note}; peer: the whole store shuffled")
                for name, note in notes.items()]

    def rows(self):
        self.make()
        formats = {"vs_h5py_gzip4": "h5_gzip4", "vs_h5py_blosc": "h5_blosc", "vs_mds": "mds"}
        rows = [self.against(name, peer, "pairs") for name, peer in formats.items()]
        rows += [self.codec(), self.copy(), self.against("f32_vs_memmap", "npy", "float", ["--float"]), self.cold(), *self.sizes(), self.step(), *self.million()]
        firsts = [self.ours("pairs", "--passes", 1)["first_batch_s"] for _ in range(self.repeats)]
        return [*rows, self.limit("first_batch_s", firsts, 0.1, "s", "after the store was opened"), *self.order()]
