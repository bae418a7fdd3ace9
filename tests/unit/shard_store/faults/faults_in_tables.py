"""Changed rows that every other check allows: the tables' own checksums alone tell."""
from fault import collector

FAULTS = []
fault = collector(FAULTS)


@fault("differ from their checksum", "open", sealed="file")
def pair_of_another_key(store):
    with store.edit() as s:
        s.set("pair.key", 0, s.get("pair.key", 1))


@fault("differ from their checksum", "open", sealed="file")
def chunks_of_two_crops_exchanged(store):
    with store.edit() as s:
        for column in ("chunk.offset", "chunk.size", "chunk.xxh3"):
            one, other = s.get(column, 0), s.get(column, 2)
            s.set(column, 0, other)
            s.set(column, 2, one)


@fault("crop_table differs from its checksum", "passes", sealed="file")
def landmark_a_voxel_off(store):
    with store.edit() as s:
        x, y, z = s.get("crop.voxel", 0)
        s.set("crop.voxel", 0, x + 1, y, z)
