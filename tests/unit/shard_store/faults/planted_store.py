"""A copy of a clean store that a fault is planted in, and the seals that make the rest of it true again."""
import ctypes
import ctypes.util
import json
import shutil
import struct

import h5py
import hdf5plugin  # noqa: F401  registers Blosc

_xxh3 = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
_xxh3.restype = ctypes.c_uint64
_xxh3.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def xxh3(data):
    data = bytes(data)
    return f"{_xxh3(data, len(data)):016x}"


class PlantedStore:
    def __init__(self, clean, folder):
        self.folder = folder
        shutil.copytree(clean, folder)
        self.file = folder / "shard-00000.h5"
        self.json = json.loads((folder / "store.json").read_text())

    # ---- the shard's bytes ----
    def edit(self):
        return ShardBytes(self.file)

    def h5(self):
        return h5py.File(self.file, "r+")

    # ---- seals ----
    def seal_shards(self, tables=True):
        """Sizes and hashes of the shards and their tables, as they are now."""
        for shard in self.json["shards"]:
            path = self.folder / shard["file"]
            if path.is_file():
                if tables:
                    seal_tables(path)
                data = path.read_bytes()
                shard["bytes"], shard["xxh3"] = len(data), xxh3(data)

    def write_json(self, hashed=True):
        if hashed:
            self.json.pop("hash", None)
            self.json["hash"] = xxh3(json.dumps(self.json, separators=(",", ":")).encode())
        (self.folder / "store.json").write_text(json.dumps(self.json, indent=2) + "\n")


def seal_tables(path):
    """The checksums of the tables, as these are now; a file that h5py cannot open has none."""
    try:
        with ShardBytes(path) as s, h5py.File(path) as f:
            def rows(name):
                size = f[name].shape[0] * s.ROW[name]
                return s.data[s.tables[name]:s.tables[name] + size] if size else b""
            s.put(s.attribute("tables_xxh3", 8), xxh3(b"".join(map(rows, ("study_table", "chunk_table", "pair_table")))).encode())
            s.put(s.attribute("crop_table_xxh3", 8), xxh3(rows("crop_table")).encode())
    except (OSError, KeyError, ValueError, RuntimeError, TypeError):
        pass


class ShardBytes:
    """Raw edits of one shard, written back at the end of a `with`. Offsets as in FORMAT.md."""

    COLUMNS = {  # name: (table, byte within the row, struct format)
        "chunk.offset": ("chunk_table", 0, "<Q"), "chunk.size": ("chunk_table", 16, "<I"),
        "chunk.xxh3": ("chunk_table", 8, "<Q"),
        "pair.query": ("pair_table", 0, "<I"), "pair.key": ("pair_table", 4, "<I"),
        "pair.score": ("pair_table", 8, "<f"),
        "crop.study": ("crop_table", 0, "<I"), "crop.voxel": ("crop_table", 4, "<3i"),
        "crop.spacing": ("crop_table", 40, "<3d"), "crop.direction": ("crop_table", 64, "<9d"),
        "crop.outside": ("crop_table", 136, "<f"),
        "study.id": ("study_table", 0, "<16s"), "study.grid": ("study_table", 16, "<3i"),
        "study.first": ("study_table", 28, "<3i"), "study.last": ("study_table", 40, "<3i"),
    }
    ROW = {"chunk_table": 20, "pair_table": 12, "crop_table": 140, "study_table": 52}

    def __init__(self, path):
        self.path = path
        with h5py.File(path) as f:
            self.tables = {name: f[name].id.get_offset() for name in self.ROW}
            self.headers = {name: h5py.h5o.get_info(f[name].id).addr for name in f}
        self.data = bytearray(path.read_bytes())
        self.node = self.data.index(b"TREE\x01")  # of HDF5's index; one holds a small shard's crops

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.path.write_bytes(self.data)

    def _place(self, column, row):
        table, byte, form = self.COLUMNS[column]
        return self.tables[table] + self.ROW[table] * row + byte, form

    def get(self, column, row):
        at, form = self._place(column, row)
        values = struct.unpack_from(form, self.data, at)
        return values[0] if len(values) == 1 else values

    def set(self, column, row, *values):
        at, form = self._place(column, row)
        struct.pack_into(form, self.data, at, *values)

    def put(self, at, content):
        self.data[at:at + len(content)] = content

    def number(self, at, value, form="<Q"):
        struct.pack_into(form, self.data, at, value)

    def index_key(self, row):
        """Of HDF5's index: size u4, filter mask u4, five offsets u8; then the address."""
        return self.node + 24 + 56 * row

    def message(self, dataset, kind):
        """Where the body of a header message of `kind` begins."""
        at = self.headers[dataset] + 16
        while True:
            found, size = struct.unpack_from("<HH", self.data, at)
            if found == kind:
                return at + 8
            at += 8 + size

    def attribute(self, name, kind_bytes):
        """Where the value begins; kind_bytes: 16 for numbers, 8 for strings (padded)."""
        padded = (len(name) + 8) // 8 * 8
        return self.data.index(name.encode() + b"\0") + padded + kind_bytes + 8

    def crop_bytes(self):
        with h5py.File(self.path) as f:
            return f["crops"][0].nbytes

    def decoded(self, row):
        with h5py.File(self.path) as f:
            return f["crops"][row]

    def replace_crop(self, row, values):
        """`values` stored plainly in a Blosc buffer at the end of the file; every index knows it."""
        raw = values.tobytes()
        packed = struct.pack("<BBBBIII", 2, 1, 0x02, values.itemsize, len(raw), len(raw),
                             len(raw) + 16) + raw
        old, size = self.get("chunk.offset", row), self.get("chunk.size", row)
        self.put(old, bytes(size))
        at = len(self.data)
        self.data += packed
        self.number(40, len(self.data))  # end of file, in the superblock
        self.set("chunk.offset", row, at)
        self.set("chunk.size", row, len(packed))
        self.set("chunk.xxh3", row, int(xxh3(raw), 16))
        self.number(self.index_key(row), len(packed), "<I")
        self.number(self.index_key(row) + 48, at)
