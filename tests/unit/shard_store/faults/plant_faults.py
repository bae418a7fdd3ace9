"""plant_faults.py CLEAN OUT: a copy of the store CLEAN in OUT/NAME for each fault, and OUT/expected.json with
{NAME: {"finding": text that verify must say, "training": what training does with it}}.

training: "open"  refused when the store is opened
          "read"  the pair that holds it is refused when it is read, and no other
          "passes" what it spoils is nothing that a training step uses, or only a forged hash hides it
"""
import json
import pathlib
import sys

import faults_in_json
import faults_in_shards
import faults_in_tables
import hostile_shards
from planted_store import PlantedStore


def main():
    clean, out = map(pathlib.Path, sys.argv[1:3])
    expected = {}
    for module in (faults_in_json, faults_in_shards, faults_in_tables, hostile_shards):
        for fault in module.FAULTS:
            store = PlantedStore(clean, out / fault.__name__)
            fault(store)
            if fault.sealed != "nothing":
                if fault.sealed in ("all", "file"):  # h5py crashes on some of the hostile
                    store.seal_shards(tables=fault.sealed == "all" and module is not hostile_shards)
                store.write_json(hashed=fault.sealed != "unhashed")
            assert fault.__name__ not in expected
            expected[fault.__name__] = {"finding": fault.finding, "training": fault.training}
    (out / "expected.json").write_text(json.dumps(expected, indent=1))


if __name__ == "__main__":
    main()
