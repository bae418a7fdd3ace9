"""Peers of the pair stream: the same crops in the formats that people use, through torch's DataLoader.

peers.py make FOLDER HU.i16 PAIRS X,Y,Z     write every format: npy, h5py gzip-4, h5py Blosc lz4, MosaicML MDS
peers.py run FOLDER FORMAT WORKERS [--float] [--passes N]   one JSON object: pairs/s of each pass over the data, warm
Batches of 2, shuffled, one thread a process. The consumer looks at a number here and there; with --float it also
makes float32 in [0, 1]. The crops are window values (HU + 125, clipped to 0..380), int16, query beside key.
"""
import argparse
import json
import pathlib
import time

import h5py
import hdf5plugin
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

LOW, HIGH = -125, 255
H5 = {"h5_gzip4": dict(compression="gzip", compression_opts=4, shuffle=True),
      "h5_blosc": dict(hdf5plugin.Blosc(cname="lz4", clevel=5, shuffle=hdf5plugin.Blosc.SHUFFLE))}
FORMATS = ["npy", *H5, "mds"]


def make(folder, hu_file, pairs, shape):
    folder.mkdir(parents=True, exist_ok=True)
    crops = (np.clip(np.fromfile(hu_file, np.int16), LOW, HIGH) - LOW).reshape(pairs, 2, *shape)
    np.save(folder / "npy.npy", crops)
    for name, filters in H5.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file.create_dataset("pairs", data=crops, chunks=(1, *crops.shape[1:]), **filters)
    from streaming import MDSWriter
    encoding = "ndarray:int16:" + ",".join(map(str, crops.shape[1:]))
    with MDSWriter(out=str(folder / "mds"), columns={"pair": encoding}, size_limit=1 << 27) as writer:
        for pair in crops:
            writer.write({"pair": pair})
    return {name: sum(f.stat().st_size for f in folder.rglob(f"{name}*") if f.is_file()) for name in FORMATS if name != "mds"}


class Npy(Dataset):
    def __init__(self, folder):
        self.file = folder / "npy.npy"
        self.pairs = None
        self.length = len(np.load(self.file, mmap_mode="r"))

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if self.pairs is None:
            self.pairs = np.load(self.file, mmap_mode="r")
        return torch.from_numpy(np.array(self.pairs[index]))


class Hdf5(Dataset):
    def __init__(self, file):
        self.file, self.pairs = file, None
        with h5py.File(file) as opened:
            self.length = len(opened["pairs"])

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if self.pairs is None:  # opened after the fork
            self.pairs = h5py.File(self.file, "r")["pairs"]
        return torch.from_numpy(self.pairs[index])


def dataset(folder, name):
    if name == "npy":
        return Npy(folder), True
    if name in H5:
        return Hdf5(folder / f"{name}.h5"), True
    from streaming import StreamingDataset

    class Mds(StreamingDataset):
        def __getitem__(self, index):
            return torch.from_numpy(np.array(super().__getitem__(index)["pair"]))

    return Mds(local=str(folder / "mds"), shuffle=True, batch_size=2), False


def measure(folder, name, workers, passes, floats):
    torch.set_num_threads(1)
    data, shuffle = dataset(folder, name)
    loader = DataLoader(data, batch_size=2, num_workers=workers, shuffle=shuffle, persistent_workers=workers > 0,
                        prefetch_factor=4 if workers else None)
    speeds, seen = [], 0
    for turn in range(passes + 1):  # the first warms page cache and workers
        start, pairs = time.perf_counter(), 0
        for batch in loader:
            if floats:
                batch = batch.float().mul_(1 / (HIGH - LOW))
            seen += int(batch.view(-1)[::65536].sum() > 0)
            pairs += len(batch)
        if turn:
            speeds.append(pairs / (time.perf_counter() - start))
    return {"pairs_per_s": speeds, "seen": seen}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="+")
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--float", action="store_true", dest="floats")
    a = parser.parse_args()
    folder = pathlib.Path(a.words[1])
    if a.words[0] == "make":
        print(json.dumps(make(folder, a.words[2], int(a.words[3]), tuple(int(n) for n in a.words[4].split(","))[::-1])))
    else:
        print(json.dumps(measure(folder, a.words[2], int(a.words[3]), a.passes, a.floats)))


if __name__ == "__main__":
    main()
