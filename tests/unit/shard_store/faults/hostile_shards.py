"""Shards made to harm the reader: what HDF5 and Blosc would follow, allocate or loop over."""
import h5py
import numpy as np
from fault import collector, on_bytes

FAULTS = []
fault = collector(FAULTS)


edit = on_bytes(fault)


# ---- Blosc ----
@edit("cannot be decompressed", "read")
def blosc_claims_gigabytes(s):
    s.number(s.get("chunk.offset", 3) + 4, 0x7FFFFFFF, "<I")


@edit("cannot be decompressed", "read")
def blosc_claims_another_compressed_size(s):
    s.number(s.get("chunk.offset", 3) + 12, 0x7FFFFFFF, "<I")


@edit("cannot be decompressed", "read")
def blosc_claims_huge_blocks(s):
    s.number(s.get("chunk.offset", 3) + 8, 0x7FFFFFFF, "<I")


@edit("crop 3", "read")
def blosc_blocks_begin_elsewhere(s):
    s.number(s.get("chunk.offset", 3) + 16, 0x7FFFFFF0, "<I")


@edit("crop 3", "read")
def blosc_of_an_unknown_codec(s):
    s.data[s.get("chunk.offset", 3) + 2] |= 0xE0


# ---- sizes ----
@edit("more crops than a shard may hold", "open")
def crops_in_huge_number(s):
    s.number(s.message("crops", 1) + 8, 2**60)


@edit("differ in length", "open")
def crops_more_than_their_tables(s):
    s.number(s.message("crops", 1) + 8, 9)


@edit("crop side", "open")
def crops_with_a_huge_side(s):
    s.number(s.message("crops", 1) + 16, 2**30)
    s.number(s.message("crops", 1) + 8 * 6, 2**30)
    s.number(s.message("crops", 8) + 15, 2**30, "<I")


@edit("longer than the file", "open")
def table_of_huge_length(s):
    s.number(s.message("crop_table", 1) + 8, 2**60)
    s.number(s.message("crop_table", 1) + 16, 2**60)


@edit("longer than the file", "open")
def table_beyond_the_file(s):
    s.number(s.message("pair_table", 8) + 2, 2**62)


@edit("chunk that is not one crop", "open")
def chunk_of_many_crops(s):
    s.number(s.message("crops", 8) + 11, 2**31, "<I")


# ---- structures ----
@edit("an index of crops of another kind", "passes")
def index_in_a_cycle(s):
    s.data[s.node + 5] = 1
    for row in range(8):
        s.number(s.index_key(row) + 48, s.node)


@edit("an index of crops of another kind", "passes")
def index_too_deep(s):
    s.data[s.node + 5] = 200


@edit("a message that is longer than its header", "open")
def header_continues_in_itself(s):
    at = s.data.index(b"\x10\x00\x10\x00", 96)
    s.number(at + 8, 96 + 16)


@edit("beyond the file", "open")
def header_continues_outside(s):
    at = s.data.index(b"\x10\x00\x10\x00", 96)
    s.number(at + 8, 2**50)


@edit("other objects", "open")
def two_names_of_one_table(s):
    s.data[s.data.index(b"pair_table")] = ord("q")


@edit("beyond the file", "open")
def names_outside(s):
    s.number(s.data.index(b"HEAP") + 24, 2**50)


@edit("ends too early", "open")
def attribute_longer_than_its_message(s):
    at = s.data.index(b"axes\0")
    s.number(at - 6, 60000, "<H")


# ---- objects that HDF5 would follow; h5py writes them ----
def with_h5py(finding):
    def mark(function):
        def planted(store):
            with store.h5() as f:
                function(f)
        planted.__name__ = function.__name__
        return fault(finding, "open")(planted)
    return mark


@with_h5py("not of the format")
def attribute_with_patient_text(f):
    f.attrs["PatientName"] = "DOE^JOHN"


@with_h5py("not of the format")
def attribute_of_a_dataset(f):
    f["crops"].attrs["name"] = np.bytes_("DOE^JOHN")


@with_h5py("not of the format")
def attribute_huge(f):
    f.attrs["blob"] = np.zeros(60000, "u1")


@with_h5py("too many messages")
def attributes_in_masses(f):
    for i in range(300):
        f.attrs[f"a{i}"] = np.int32(i)


@with_h5py("not of the format")
def comment_on_the_root(f):
    h5py.h5o.set_comment(f.id, b"DOE^JOHN")


@with_h5py("stored in another way")
def comment_on_a_dataset(f):
    h5py.h5o.set_comment(f["crops"].id, b"DOE^JOHN")


@with_h5py("other objects")
def dataset_beyond_the_format(f):
    f["DOE^JOHN"] = np.zeros(3)


@with_h5py("names were removed")
def dataset_missing(f):
    del f["pair_table"]


@with_h5py("link")
def link_soft(f):
    del f["pair_table"]
    f["pair_table"] = h5py.SoftLink("/crop_table")


@with_h5py("link")
def link_external(f):
    del f["study_table"]
    f["study_table"] = h5py.ExternalLink("/etc/passwd", "/study_table")


@with_h5py("an object with several names")
def link_to_the_root(f):
    del f["pair_table"]
    f["pair_table"] = f["/"]


@with_h5py("other objects")
def groups_nested_deeply(f):
    f.create_group("/".join("g" * 2000))


@with_h5py("stored in another way")
def storage_external(f):
    del f["pair_table"]
    f.create_dataset("pair_table", (4,), "<u4", external=[("/etc/passwd", 0, 16)])


@with_h5py("stored in another way")
def storage_virtual(f):
    del f["pair_table"]
    layout = h5py.VirtualLayout((4,), "<u4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    f.create_virtual_dataset("pair_table", layout)


@with_h5py("shared or unknown message")
def datatype_committed(f):
    del f["pair_table"]
    f["pair_table"] = np.dtype("<f8")


@with_h5py("stored in another way")
def table_in_chunks_of_a_bomb(f):
    del f["crop_table"]
    f.create_dataset("crop_table", (10**12,), "u1", chunks=(2**30,), compression="gzip")


@with_h5py("not compressed with Blosc")
def crops_through_gzip(f):
    data = f["crops"][:]
    del f["crops"]
    f.create_dataset("crops", data=data, chunks=(1, *data.shape[1:]), compression="gzip")


@with_h5py("lacks a part")
def crops_of_floats(f):
    data = f["crops"][:]
    del f["crops"]
    f.create_dataset("crops", data=data.astype("f4"), chunks=(1, *data.shape[1:]))
