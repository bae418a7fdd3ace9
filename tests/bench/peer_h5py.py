"""The stream's peer: the pairs of a store through h5py and hdf5plugin, in the shuffled order of training. Prints pairs/s."""
import pathlib
import random
import sys
import time

import h5py
import hdf5plugin  # noqa: F401  (registers the Blosc filter)

pairs = []
for path in sorted(pathlib.Path(sys.argv[1]).glob("shard-*.h5")):
    shard = h5py.File(path, "r")
    table = shard["pair_table"][:]
    pairs += [(shard["crops"], int(query), int(key)) for query, key in zip(table["query"], table["key"])]
random.Random(123).shuffle(pairs)

done, seconds = 0, 0.0
for limit in (0.3, 2.0):  # the first pass warms the page cache
    start, done = time.perf_counter(), 0
    while (seconds := time.perf_counter() - start) < limit:
        crops, query, key = pairs[done % len(pairs)]
        crops[query], crops[key]
        done += 1
print(done / seconds)
