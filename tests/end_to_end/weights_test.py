"""Weights from elsewhere: what does not fit is refused with the list of what differs, exit 3, and no file is left behind.

Claims: torch.save's files of every protocol are read; pickles never run; another architecture, width or version, cut off, not
finite, zip bombs: refused by name. SAM's published layout becomes weights that `homolog sam` reads. A run starts from weights
(encoder, position table of another crop, target included) and its manifest bears the file's hash; a resumed run does not need it.
"""
import io
import json
import os
import pathlib
import pickle
import subprocess
import sys
import tempfile
import zipfile

import numpy
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from programs import BIN, SOURCE, check, finish, good, run


def refused(name, file, *fragments, words=()):
    out = work / "none.safetensors"
    done = run("homolog-import", file, "--out", out, *words)
    missing = [f for f in fragments if f not in done.stderr]
    check(name, done.returncode == 3 and not missing and not out.exists() and "fix:" in done.stderr,
          f"exit {done.returncode}, missing {missing}, said: {done.stderr[-1500:]}")


TRAIN = ["--config", str(SOURCE / "configs" / "alice_small.ini"), "--set", "data.batch=1", "--set", "schedule.steps=2", "--set", "schedule.warmup_steps=1", "--set",
         "schedule.validate_every=0", "--set", "monitor.enabled=false", "--set", "model.nnformer.embed=12", "--set",
         "model.nnformer.heads=1,2,4,8"]


def train(name, *words, store="store"):
    return run("homolog-train", *TRAIN, "--set", f"data.store={work / store}", "--run", work / name, *words)


def nnformer():
    """The names and shapes of a small nnFormer: a run's own."""
    good("make_store", work / "store", 8, 0)
    done = train("first")
    if done.returncode:
        sys.exit(done.stderr)
    good("homolog-export", work / "first", "--out", work / "first.safetensors", "--full", "--layout", "native")
    good("homolog-export", work / "first", "--out", work / "encoder.safetensors")
    with safe_open(work / "encoder.safetensors", "pt") as file:
        about = file.metadata()
    window = json.loads((work / "store" / "store.json").read_text())["window_hu"]
    check("an export says which intensities it takes", [about.get("trained.window_low_hu"), about.get("trained.window_high_hu")]
          == [str(hu) for hu in window], str({**about, "config": ""}))
    return {key: value for key, value in load_file(work / "encoder.safetensors").items()}


def every_container(state):
    hashes = {}
    for protocol in (1, 2, 3, 4, 5):  # with 0 torch.save writes what torch.load cannot read
        for zipped in (True, False):
            torch.save(state, work / "w.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
            done = good("homolog-import", work / "w.pt", "--out", work / "w.safetensors", "--crop", "64,64,32", "--json")
            hashes[protocol, zipped] = json.loads(done.stdout)["weights_xxh3"]
    check("files of pickle protocols 1 to 5, zip and legacy, give the same weights", len(set(hashes.values())) == 1, str(hashes))
    checkpoint = {"network_weights": {"module." + k: torch.nn.Parameter(v) if v.is_floating_point() else v for k, v in state.items()},
                  "loss": numpy.float64(0.5), "where": pathlib.Path("a"), "epoch": 3}
    torch.save(checkpoint, work / "w.pt")
    done = good("homolog-import", work / "w.pt", "--out", work / "w.safetensors", "--crop", "64,64,32", "--json")
    report = json.loads(done.stdout)
    check("a checkpoint's state dict is found, its prefix taken off and told", set(hashes.values()) == {report["weights_xxh3"]}
          and any("module." in note for note in report["notes"]), done.stdout)
    with safe_open(work / "w.safetensors", "pt") as file:
        about = file.metadata()
    check("the imported file says what it is", about["backbone"] == "nnformer" and about["crop"] == "64,64,32"
          and json.loads(about["options"])["model.nnformer.heads"] == "1,2,4,8", str(about))


class Runs:
    """A pickle of this would run a command."""

    def __init__(self, function, *words):
        self.call = (function, words)

    def __reduce__(self):
        return self.call


def hostile(state):
    mark = work / "executed"
    command = f"touch {mark}"
    for name, evil, said in (("os.system", Runs(os.system, command), ".system"),
                             ("eval", Runs(eval, f"__import__('os').system('{command}')"), ".eval"),
                             ("subprocess", Runs(subprocess.call, ["touch", str(mark)]), ".call")):
        for protocol in (0, 2, 4, 5):
            for zipped in (True, False):
                torch.save({**state, "x": evil}, work / "evil.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
                refused(f"a pickle that runs {name}, protocol {protocol}, {'zip' if zipped else 'legacy'}", work / "evil.pt", said, "would run")
    (work / "evil.pt").write_bytes(pickle.dumps({"state_dict": {"w": Runs(os.system, command)}}))
    refused("a bare pickle that runs os.system", work / "evil.pt", "system", "would run")
    torch.save(torch.nn.Linear(2, 2), work / "evil.pt")
    refused("a pickled module", work / "evil.pt", "torch.nn.modules.linear.Linear")
    check("nothing was run", not mark.exists())


def damaged(state):
    torch.save(state, work / "good.pt")
    whole = (work / "good.pt").read_bytes()
    for share in (0.2, 0.5, 0.9, 0.999):
        (work / "cut.pt").write_bytes(whole[:int(len(whole) * share)])
        refused(f"a .pt cut off at {share:.1%}", work / "cut.pt", "cut.pt", "byte", "cut off")
    torch.save(state, work / "legacy.pth", _use_new_zipfile_serialization=False)
    legacy = (work / "legacy.pth").read_bytes()
    for share in (0.001, 0.5, 0.999):
        (work / "cut.pth").write_bytes(legacy[:int(len(legacy) * share)])
        refused(f"a legacy .pth cut off at {share:.1%}", work / "cut.pth", "cut.pth", "byte")
    raw = (work / "encoder.safetensors").read_bytes()
    (work / "cut.safetensors").write_bytes(raw[:len(raw) // 2])
    refused("a .safetensors cut off", work / "cut.safetensors", "truncated")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    (work / "flipped.pt").write_bytes(flipped)
    refused("a flipped bit", work / "flipped.pt", "checksum")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", bytes(1 << 28))
    (work / "bomb.pt").write_bytes(bomb.getvalue())
    refused("a zip bomb", work / "bomb.pt", "compressed")
    torch.save({"w": torch.zeros(1).expand(1 << 20, 1 << 20)}, work / "bomb.pt")
    refused("a tensor much larger than its storage", work / "bomb.pt", "overlap")
    refused("no such file", work / "nowhere.pt", "nowhere.pt")


def other_weights(state):
    def saved(changed):
        save_file({k: v.contiguous() for k, v in changed.items()}, work / "other.safetensors")
        return work / "other.safetensors"

    nan = dict(state)
    key = "model_down.patch_embed.norm.weight"
    nan[key] = nan[key].clone()
    nan[key][0] = float("nan")
    refused("NaN", saved(nan), key, "not finite")
    both = {k: v for k, v in state.items() if k not in (key, "model_down.norm1.bias")}
    both["model_down.norm2.bias"] = torch.zeros(7)
    both["model_down.extra.weight"] = torch.zeros(3)
    both["decoder.layers.0.blocks.0.norm1.weight"] = torch.zeros(12, dtype=torch.int32)
    refused("missing, unexpected, of another shape and type: all of them are listed", saved(both), "missing: " + key,
            "missing: model_down.norm1.bias", "unexpected: model_down.extra.weight", "model_down.norm2.bias: has shape [7]", "Int", "5 differences", words=("--crop", "64,64,32"))
    refused("another width", saved({**state, "model_down.norm0.weight": torch.ones(24)}), "has shape", "needs")
    renamed = {k.replace("model_down.layers.0.blocks.0.attn.qkv", "model_down.layers.0.blocks.0.attn.to_qkv"): v for k, v in state.items()}
    refused("another version's names", saved(renamed), "missing: model_down.layers.0.blocks.0.attn.qkv.weight", "unexpected:")
    refused("another architecture", saved({"features.0.weight": torch.zeros(3, 3)}), "features.0.weight", "none of the networks")
    refused("the wrong network asked for", saved(state), "missing: ", "unexpected: ", words=("--backbone", "resnet"))
    whole = run("homolog-export", work / "first", "--out", work / "no.safetensors", "--layout", "monai")
    check("MONAI has no nnFormer, and the export says so", whole.returncode == 2 and "MONAI has no nnformer" in whole.stderr
          and not (work / "no.safetensors").exists(), whole.stderr)


def published_sam():
    """Names and shapes of the published checkpoint (method.md 7.1), random numbers."""
    state = {}

    def unit(name, out, into, *kernel, normed=True):
        state[f"{name}.conv.weight"] = torch.randn(out, into, *kernel) * 0.05
        if not normed:
            state[f"{name}.conv.bias"] = torch.zeros(out)
            return
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            state[f"{name}.bn.{part}"] = torch.full((out,), float(value))
        state[f"{name}.bn.num_batches_tracked"] = torch.tensor(0)

    unit("backbone.conv1", 64, 1, 3, 7, 7)
    for layer, (into, out, depth) in enumerate(((64, 64, 1), (64, 128, 1), (128, 256, 3), (256, 512, 3)), 1):
        for block in (0, 1):
            unit(f"backbone.layer{layer}.{block}.conv1", out, out if block else into, depth, 3, 3)
            unit(f"backbone.layer{layer}.{block}.conv2", out, out, depth, 3, 3)
        unit(f"backbone.layer{layer}.0.downsample", out, into, 1, 1, 1)
    for head, inputs in (("neck", (64, 128, 256)), ("read_out_head", (512,))):
        for i, into in enumerate(inputs):
            unit(f"{head}.lateral_convs.{i}", 128, into, 1, 1, 1, normed=False)
        unit(f"{head}.fpn_convs.0", 128, 128, 3, 3, 3, normed=False)
    return state


def sam():
    state = published_sam()
    torch.save({"meta": {"mmdet_version": "2.2.0", "CLASSES": ("a", "b")}, "state_dict": state, "optimizer": {"state": {}}},
               work / "sam.pth", _use_new_zipfile_serialization=False)
    report = json.loads(good("homolog-import", work / "sam.pth", "--out", work / "sam.safetensors", "--json").stdout)
    with safe_open(work / "sam.safetensors", "pt") as file:
        about = file.metadata()
    expected = {"format": "homolog-sam", "sam.width": "64", "sam.embedding": "128", "sam.stem_kernel": "3,7,7", "sam.coarse_stride": "4,16,16",
                "spacing_mm": "2", "intensity.low_hu": "-1024", "intensity.high_hu": "3071", "intensity.range": "255", "intensity.shift": "-50"}
    check("the published SAM layout becomes a homolog-sam file", report["kind"] == "sam" and expected.items() <= about.items(), str(about))
    check("a coarse stride that shapes do not tell is noted", any("coarse stride: taken as 4,16,16" in note for note in report["notes"]), str(report["notes"]))
    missing = dict(state)
    del missing["neck.fpn_convs.0.conv.bias"]
    torch.save(missing, work / "sam_bad.pth")
    wide = dict(state)
    wide["backbone.conv1.conv.weight"] = torch.zeros(32, 1, 3, 7, 7)
    torch.save(wide, work / "sam_wide.pth")
    done = run("homolog-import", work / "sam_wide.pth", "--out", work / "none.safetensors")
    check("of a SAM whose stem is of another width the stem alone is listed", done.returncode == 3 and "backbone.conv1.conv.weight: has shape [32" in done.stderr
          and done.stderr.count("has shape") == 1, done.stderr[-1500:])
    refused("a network's weights are not called a broken SAM", work / "encoder.safetensors", "holds weights of nnformer, not of SAM", words=("--kind", "sam"))
    refused("SAM with a part missing", work / "sam_bad.pth", "missing: neck.fpn_convs.0.conv.bias")
    if not (BIN / "homolog-sam").exists():
        print("NOT CHECKED: this build has no homolog-sam to embed with")
        return
    direct = run("homolog-sam", "embed", "--catalog", work / "none.jsonl", "--sam", work / "sam.pth", "--out", work / "embedded")
    check("homolog sam names the import where it is given a published .pth", direct.returncode == 3 and "homolog import FILE --out sam.safetensors" in direct.stderr, direct.stderr)
    good("homolog-phantom", "--out", work / "phantoms", "--count", 1, "--spacing", 6)
    good("homolog-catalog", work / "phantoms" / "images", "--out", work / "catalog.jsonl")
    good("homolog-sam", "embed", "--catalog", work / "catalog.jsonl", "--sam", work / "sam.safetensors", "--out", work / "embedded")
    check("homolog sam embeds with imported weights", len(list((work / "embedded").glob("*.safetensors"))) == 1)


def initial_weights(state):
    bare = train("from-encoder", "--set", f"model.weights={work / 'encoder.safetensors'}", "--set", "schedule.base_lr=0", "--set",
                 "schedule.min_lr=0")
    check("a run starts from an encoder", bare.returncode == 0, bare.stderr[-1500:])
    for which in ("online", "target"):
        good("homolog-export", work / "from-encoder", "--out", work / "after.safetensors", "--which", which)
        after = load_file(work / "after.safetensors")
        check(f"the {which} network started from them", all(torch.equal(after[key], value) for key, value in state.items()),
              str([key for key in state if not torch.equal(after[key], state[key])][:5]))
    manifest = json.loads((work / "from-encoder" / "manifest.json").read_text())
    check("the run's manifest bears the weights' hash", len(manifest.get("weights", "")) == 16, str(manifest))
    whole = train("from-native", "--set", f"model.weights={work / 'first.safetensors'}")
    check("a native export serves too, heads left out", whole.returncode == 0 and "left_out" in whole.stderr, whole.stderr[-1500:])
    table = state["model_down.absolute_pos_embed"]
    cube = {**state, "model_down.absolute_pos_embed": torch.rand(1, 24 ** 3, table.shape[2])}
    save_file(cube, work / "cube.safetensors")
    resampled = train("resampled", "--set", f"model.weights={work / 'cube.safetensors'}")
    check("a position table of another crop is resampled, and that is said", resampled.returncode == 0
          and "24,24,24 to 32,32,16" in resampled.stderr, resampled.stderr[-1500:])
    narrow = train("narrow", "--set", f"model.weights={work / 'encoder.safetensors'}", "--set", "model.nnformer.embed=24", "--set",
                   "model.nnformer.heads=3,6,12,24")
    check("weights of another width are refused with the list, nothing is trained", narrow.returncode == 3 and "has shape" in narrow.stderr
          and "model_down.norm0.weight" in narrow.stderr and not list((work / "narrow").glob("checkpoints/step-*")), narrow.stderr[-1500:])
    exact = train("exact", "--set", f"model.weights={work / 'encoder.safetensors'}", "--set", "model.nnformer.rel_index=exact")
    check("weights whose file states another network are refused with what to set, though all shapes fit", exact.returncode == 3
          and "the file states reference, this network has exact" in exact.stderr and "set model.nnformer.rel_index = reference" in exact.stderr
          and not list((work / "exact").glob("checkpoints/step-*")), exact.stderr[-1500:])
    torch.save(state, work / "raw.pt")
    raw = train("raw", "--set", f"model.weights={work / 'raw.pt'}", "--set", "model.nnformer.rel_index=exact")
    check("what a file does not tell of its network is said in the run's log", raw.returncode == 0
          and "does not tell model.nnformer.rel_index: taken as this network has it, exact" in raw.stderr, raw.stderr[-1500:])
    gone = work / "gone.safetensors"
    gone.write_bytes((work / "encoder.safetensors").read_bytes())
    stopped = train("resumed", "--set", f"model.weights={gone}", "--max-steps-this-run", 1)
    gone.unlink()
    resumed = train("resumed", "--set", f"model.weights={gone}")
    manifest = json.loads((work / "resumed" / "manifest.json").read_text())
    check("a resumed run does not need the file, and keeps its hash", stopped.returncode == 75 and resumed.returncode == 0
          and "weights" in manifest, stopped.stderr[-500:] + resumed.stderr[-1500:])


with tempfile.TemporaryDirectory(prefix="homolog-weights-") as folder:
    work = pathlib.Path(folder)
    encoder = nnformer()
    every_container(encoder)
    hostile(encoder)
    damaged(encoder)
    other_weights(encoder)
    sam()
    initial_weights(encoder)
finish()
