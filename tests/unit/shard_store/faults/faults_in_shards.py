"""Faults of one shard, by bytes; store.json knows the shard as it is, so that no hash tells."""
import math

import numpy as np
from fault import collector, on_bytes

FAULTS = []
fault = collector(FAULTS)


edit = on_bytes(fault)


# ---- the file ----
@fault("an empty file", "open")
def shard_empty(store):
    store.file.write_bytes(b"")


@fault("truncated", "open")
def shard_cut_short(store):
    store.file.write_bytes(store.file.read_bytes()[:-100])


@fault("not an HDF5 file", "open")
def shard_no_hdf5(store):
    store.file.write_bytes(b"DOE^JOHN" * 1000)


@fault("not an HDF5 file", "open")
def shard_with_user_block(store):
    store.file.write_bytes(b"DOE^JOHN".ljust(512, b"\0") + store.file.read_bytes())


@fault("truncated or damaged", "open")
def shard_with_a_tail(store):
    store.file.write_bytes(store.file.read_bytes() + b"DOE^JOHN")


@edit("shard format version 9", "open")
def shard_of_the_future(s):
    s.number(s.attribute("version", 16), 9, "<i")


@edit("not a pair shard of homolog", "open")
def shard_of_another_format(s):
    s.put(s.attribute("format", 8), b"DOE")


@edit("other axes", "open")
def shard_axes_hold_text(s):
    s.put(s.attribute("axes", 8), b"DOE^JOHN")


@edit("an unknown encoding", "open")
def shard_encoding_unknown(s):
    s.put(s.attribute("encoding", 8), b"DOE")


@edit("neither train nor validation", "open")
def shard_split_holds_text(s):
    s.put(s.attribute("split", 8), b"DOE")


@edit("SAM hash", "open")
def shard_sam_hash_holds_text(s):
    s.put(s.attribute("sam_hash", 8), b"DOE^JOHN")


@edit("margin", "open")
def shard_margin_too_wide(s):
    s.number(s.attribute("margin", 16), 2**31 - 1, "<i")


@edit("window", "open")
def shard_window_overflows(s):
    s.number(s.attribute("window_low_hu", 16), -2**31, "<i")
    s.number(s.attribute("window_high_hu", 16), 2**31 - 1, "<i")


@edit("belong to nothing", "passes")
def shard_text_in_unused_space(s):
    gap = min(s.tables.values()) - 64  # HDF5 leaves some between headers and tables
    assert not any(s.data[gap:gap + 64])
    s.put(gap + 8, b"DOE^JOHN")


@edit("belong to nothing", "passes")
def shard_text_in_a_name_s_padding(s):
    s.put(s.data.index(b"axes\0") + 5, b"DOE")


@edit("belong to nothing", "passes")
def shard_text_in_an_empty_message(s):
    s.put(s.message("crops", 0), b"DOE^JOHN")


@edit("belong to nothing", "passes")
def shard_text_in_the_index(s):
    s.put(s.index_key(20), b"DOE^JOHN")


# ---- crops ----
@edit("crop 3", "read")
def crop_bit_flipped(s):
    at = s.get("chunk.offset", 3) + s.get("chunk.size", 3) // 2
    s.data[at] ^= 0x10


@edit("checksum differs", "read")
def crop_checksum_differs(s):
    s.set("chunk.xxh3", 3, 1)


@edit("a value beyond the window", "passes")
def crop_beyond_the_window(s):
    values = s.decoded(3)
    values[1, 2, 3] = 381
    s.replace_crop(3, values)


@edit("a constant crop", "read")
def crop_constant(s):
    s.replace_crop(3, np.full_like(s.decoded(3), 7))


@edit("a constant crop", "read")
def crop_of_air(s):
    s.replace_crop(3, np.zeros_like(s.decoded(3)))


@edit("repeats the voxels of crop 0", "passes")
def crop_repeated(s):
    s.replace_crop(3, s.decoded(0))


@edit("lies outside the file", "open")
def chunk_beyond_the_file(s):
    s.set("chunk.offset", 3, 2**63)


@edit("lies outside the file", "open")
def chunk_without_bytes(s):
    s.set("chunk.size", 3, 0)


@edit(") and 3 (bytes ", "open")
def chunk_overlaps(s):
    s.set("chunk.offset", 3, s.get("chunk.offset", 2) + 1)


@edit("HDF5's index has it at byte", "passes")
def chunks_swapped(s):
    for column in ("chunk.offset", "chunk.size", "chunk.xxh3"):
        a, b = s.get(column, 1), s.get(column, 2)
        s.set(column, 1, b)
        s.set(column, 2, a)


@edit("HDF5's index has it at byte", "passes")
def index_points_elsewhere(s):
    s.number(s.index_key(3) + 48, s.get("chunk.offset", 3) + 16)


@edit("skips the filter", "passes")
def index_skips_the_filter(s):
    s.number(s.index_key(3) + 4, 1, "<I")


@edit("out of order", "passes")
def index_out_of_order(s):
    s.number(s.index_key(3) + 8, 9)


@edit("HDF5's index holds 7 crops", "passes")
def index_lacks_a_crop(s):
    s.number(s.node + 6, 7, "<H")


# ---- tables ----
@edit("row 1 of pair_table", "open")
def pair_beyond_the_crops(s):
    s.set("pair.key", 1, 4000)


@edit("row 1 of pair_table", "open")
def pair_of_one_crop(s):
    s.set("pair.key", 1, s.get("pair.query", 1))


@edit("row 1 of pair_table", "open")
def pair_score_not_finite(s):
    s.set("pair.score", 1, math.nan)


@edit("pair 1 has a score beyond -1..1", "passes")
def pair_score_too_high(s):
    s.set("pair.score", 1, 1.5)


@edit("pair 1 repeats pair 0", "passes")
def pair_repeated(s):
    s.set("pair.query", 1, s.get("pair.query", 0))
    s.set("pair.key", 1, s.get("pair.key", 0))


@edit("pair 1 shows one study twice", "passes")
def pair_of_one_study(s):
    s.set("pair.key", 1, 0)


@edit("row 2 of crop_table", "passes")
def crop_of_no_study(s):
    s.set("crop.study", 2, 99)


@edit("row 2 of crop_table", "passes")
def crop_spacing_zero(s):
    s.set("crop.spacing", 2, 1, 0, 1)


@edit("row 2 of crop_table", "passes")
def crop_direction_not_finite(s):
    s.set("crop.direction", 2, *[math.inf] * 9)


@edit("a direction that is no rotation", "passes")
def crop_direction_skewed(s):
    s.set("crop.direction", 2, 1, 0.1, 0, 0, 1, 0, 0, 0, 1)


@edit("a direction that is no rotation", "passes")
def crop_mirrored(s):
    s.set("crop.direction", 2, -1, 0, 0, 0, 1, 0, 0, 0, 1)


@edit("another direction or spacing", "passes")
def crop_spacing_of_another_study(s):
    s.set("crop.spacing", 2, 1, 1, 2)


@edit("outside_share beyond 0..1", "passes")
def crop_outside_share_too_high(s):
    s.set("crop.outside", 2, 2)


@edit("a landmark outside its study's grid", "passes")
def crop_landmark_outside(s):
    s.set("study.grid", 0, 40, 40, 40)
    s.set("crop.voxel", 2, 3, 40, 3)


@edit("a landmark outside its study's grid", "passes")
def crop_landmark_negative(s):
    s.set("crop.voxel", 2, 3, -1, 3)


@edit("study 0 has a body box", "passes")
def study_body_inverted(s):
    s.set("study.grid", 0, 40, 40, 40)
    s.set("study.first", 0, 9, 9, 9)
    s.set("study.last", 0, 20, 8, 20)


@edit("study 0 has a body box", "passes")
def study_body_outside(s):
    s.set("study.grid", 0, 40, 40, 40)
    s.set("study.last", 0, 20, 40, 20)


@edit("study 1 repeats the id", "passes")
def study_repeated(s):
    s.set("study.id", 1, s.get("study.id", 0))


@edit("no pseudonym", "open")
def study_is_text(s):
    s.set("study.id", 1, b"DOE^JOHN")


@fault("is in shard-00000.h5 too", "passes")
def study_in_two_shards(store):
    with store.edit() as shard:
        study = shard.get("study.id", 0)
    store.file = store.folder / "shard-00001.h5"
    with store.edit() as shard:
        store.json["studies"]["train"].remove(shard.get("study.id", 0).decode())
        shard.set("study.id", 0, study)
