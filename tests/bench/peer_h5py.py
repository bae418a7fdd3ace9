"""The stream's peer: the pairs of a store through h5py and hdf5plugin, as a Python loader reads them. Prints pairs/s."""
import pathlib
import sys
import time

import h5py
import hdf5plugin  # noqa: F401  (registers the Blosc filter)

pairs, seconds = 0, 0.0
shards = [h5py.File(path, "r") for path in sorted(pathlib.Path(sys.argv[1]).glob("shard-*.h5"))]
for warm in (True, False):
    start = time.perf_counter()
    pairs = 0
    while time.perf_counter() - start < (0.2 if warm else 1.5):
        for shard in shards:
            crops, table = shard["crops"], shard["pair_table"][:]
            for query, key in zip(table["query"], table["key"]):
                crops[int(query)].max(), crops[int(key)].max()
                pairs += 1
    seconds = time.perf_counter() - start
print(pairs / seconds)
