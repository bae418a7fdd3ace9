"""Faults of store.json and of the folder."""
import os

from fault import collector

FAULTS = []
fault = collector(FAULTS)


@fault("missing, empty or not readable", "open", sealed="nothing")
def json_missing(store):
    (store.folder / "store.json").unlink()


@fault("no JSON at byte", "open", sealed="nothing")
def json_cut_short(store):
    path = store.folder / "store.json"
    path.write_text(path.read_text()[:300])


@fault("no JSON at byte 13 (line 2)", "open", sealed="nothing")
def json_with_patient_text_in_its_damage(store):
    (store.folder / "store.json").write_text('{"format":\n DOE^JOHN')


@fault("store format version 9", "open", sealed="json")
def json_of_the_future(store):
    store.json["version"] = 9


@fault("not a pair store", "open", sealed="json")
def json_of_another_format(store):
    store.json["format"] = "DOE"


@fault("was changed after it was written", "open", sealed="unhashed")
def json_changed(store):
    store.json["plan_hash"] = "00000000000000ff"


@fault("the entry after shards is not of the format", "open", sealed="json")
def json_entry_beyond_the_format(store):
    store.json["patient"] = "DOE^JOHN"


@fault("the entry after shards[0].xxh3 is not of the format", "open", sealed="json")
def json_entry_of_a_shard_beyond_the_format(store):
    store.json["shards"][0]["DOE^JOHN"] = 1


@fault("entry 1 of config is out of order", "open", sealed="json")
def json_config_out_of_order(store):
    store.json["config"] = {"z": "1", "DOE^JOHN": "1"}


@fault("its entry plan_hash is missing", "open", sealed="json")
def json_entry_missing(store):
    del store.json["plan_hash"]


@fault("its entry pairs.train is 9, not 8", "open", sealed="json")
def json_counts_wrong(store):
    store.json["pairs"]["train"] += 1


@fault("its entry shards[1].pairs is missing or of another kind", "open", sealed="json")
def json_entry_of_another_kind(store):
    del store.json["shards"][1]["pairs"]


@fault("listed twice", "open", sealed="json")
def json_shard_twice(store):
    store.json["shards"].append(store.json["shards"][0])
    store.json["pairs"]["train"] += store.json["shards"][0]["pairs"]


@fault("not of the form shard-00000.h5", "open", sealed="json")
def json_path_upwards(store):
    store.json["shards"][0]["file"] = "../DOE.h5"


@fault("not of the form shard-00000.h5", "open", sealed="json")
def json_path_absolute(store):
    store.json["shards"][0]["file"] = "/etc/DOE"


@fault("not of the form shard-00000.h5", "open", sealed="json")
def json_name_of_text(store):
    os.rename(store.file, store.folder / "DOE.h5")
    store.json["shards"][0]["file"] = "DOE.h5"


@fault("more pairs or crops than a shard may hold", "open", sealed="json")
def json_huge_count(store):
    store.json["shards"][0]["crops"] = 10**18


@fault("its entry shards[0].crops is not whole", "open", sealed="json")
def json_float_count(store):
    store.json["shards"][0]["crops"] = 1e300


@fault("its entry shards[0].xxh3 is no xxh3 of 16 hex digits", "open", sealed="json")
def json_hash_no_hex(store):
    store.json["shards"][0]["xxh3"] = "-1"


@fault("its entry config is missing or of another kind", "open", sealed="nothing")
def json_nested_deeply(store):
    path = store.folder / "store.json"
    path.write_text(path.read_text().replace('"synthetic"', "[" * 300000 + "]" * 300000))


@fault("number of crops differs from store.json: 8, there 7", "open", sealed="json")
def json_crops_of_a_shard_differ(store):
    store.json["shards"][0]["crops"] -= 1


@fault("crop_xyz differs from store.json: [32,32,16], there [34,32,16]", "open", sealed="json")
def json_crop_differs(store):
    store.json["crop_xyz"] = [34, 32, 16]


@fault("margin differs from store.json: 0, there 2", "open", sealed="json")
def json_margin_differs(store):
    store.json["margin"] = 2


@fault("window_hu differs", "open", sealed="json")
def json_window_differs(store):
    store.json["window_hu"] = [-125, 256]


@fault("codec differs", "open", sealed="json")
def json_codec_differs(store):
    store.json["codec"] = "zstd"


@fault("encoding differs from store.json: uint16, there int16", "open", sealed="json")
def json_encoding_differs(store):
    store.json["encoding"] = "int16"


@fault("sam_hash differs", "open", sealed="json")
def json_sam_differs(store):
    store.json["sam_hash"] = "00000000000000aa"


@fault("plan_hash differs", "open", sealed="json")
def json_plan_differs(store):
    store.json["plan_hash"] = "00000000000000aa"


@fault("split differs from store.json: validation, there train", "open", sealed="json")
def json_split_differs(store):
    store.json["shards"][-1]["split"] = "train"  # it is a validation shard
    pairs = store.json["shards"][-1]["pairs"]
    store.json["pairs"]["train"] += pairs
    store.json["pairs"]["validation"] -= pairs


@fault("its size differs from store.json", "open", sealed="json")
def json_size_differs(store):
    store.json["shards"][0]["bytes"] += 1


@fault("its xxh3 differs from store.json", "passes", sealed="json")
def json_hash_of_a_shard_differs(store):
    store.json["shards"][0]["xxh3"] = "00000000000000aa"


@fault("not listed in the order of their names", "passes", sealed="json")
def json_shards_in_another_order(store):
    store.json["shards"].reverse()


@fault("is in two splits", "passes", sealed="json")
def json_study_in_two_splits(store):
    store.json["studies"]["validation"].append(store.json["studies"]["train"][0])


@fault("listed twice", "passes", sealed="json")
def json_study_twice(store):
    store.json["studies"]["train"].append(store.json["studies"]["train"][0])


@fault("subject 00000000000000bb is in two splits", "passes", sealed="json")
def json_subject_in_two_splits(store):
    for split in ("train", "validation"):
        store.json["subjects"][store.json["studies"][split][0]] = "00000000000000bb"


@fault("shows one subject twice", "passes", sealed="json")
def json_pair_of_one_subject(store):
    for study in store.json["studies"]["train"][:2]:
        store.json["subjects"][study] = "00000000000000bb"


@fault("is not in split train", "passes", sealed="json")
def json_study_not_listed(store):
    store.json["studies"]["train"].pop(0)


@fault("a study id that is no pseudonym", "passes", sealed="json")
def json_study_is_text(store):
    store.json["studies"]["train"].append("DOE^JOHN")


@fault("a subject or its study is no pseudonym", "passes", sealed="json")
def json_subject_is_text(store):
    store.json["subjects"][store.json["studies"]["train"][0]] = "DOE^JOHN"


@fault("no number or word", "passes", sealed="json")
def json_config_holds_text(store):
    store.json["config"]["source"] = "/data/DOE^JOHN"


@fault("shard-00000.h5", "open", sealed="json")
def folder_lacks_a_shard(store):
    store.file.unlink()


@fault("a file lies in the store that is not listed", "passes")
def folder_holds_a_stray_file(store):
    (store.folder / "DOE^JOHN.txt").write_text("DOE")


@fault("a folder lies in the store", "passes")
def folder_holds_a_folder(store):
    (store.folder / "DOE^JOHN").mkdir()


@fault("a symbolic link, not a file of the store", "open")
def folder_holds_a_symbolic_link(store):
    elsewhere = store.folder.parent / "elsewhere.h5"
    store.file.rename(elsewhere)
    store.file.symlink_to(elsewhere)


@fault("not a regular file", "open", sealed="json")
def folder_holds_a_pipe(store):
    store.file.unlink()
    os.mkfifo(store.file)
