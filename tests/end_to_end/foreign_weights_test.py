"""Files of weights that people do have, and files that somebody made to do harm, through `homolog import`.

Claims: networks of MONAI's that cannot be taken are named, with the tensor in the way and what helps; what shapes do not tell is
said; checkpoints with times, settings and random states give their weights, and nothing else of them counts; damage and malice end
with code 3, a remedy and no file, in seconds and little memory, or (bits of the archive that say nothing) in the same weights.
"""
import argparse
import collections
import datetime
import json
import pathlib
import random
import struct
import subprocess
import os
import tempfile

import numpy
import torch
from monai.networks import nets
from safetensors.torch import load_file, save_file

from programs import BIN, check, finish, good, run

torch.manual_seed(3)
SWIN = dict(in_channels=1, out_channels=1, feature_size=12, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8))
VIT = dict(in_channels=1, img_size=(32, 32, 32), patch_size=(16, 16, 16), hidden_size=48, mlp_dim=64, num_layers=2, num_heads=4)
UNETR = dict(in_channels=1, out_channels=1, img_size=(32, 32, 32), feature_size=2, hidden_size=48, mlp_dim=64, num_heads=4)


def imported(file, *words):
    return run("homolog-import", file, "--out", work / "out.safetensors", *words, timeout=120)


def refused(name, file, *fragments, words=()):
    done = imported(file, *words)
    missing = [f for f in fragments if f not in done.stderr]
    check(name, done.returncode == 3 and not missing and "fix:" in done.stderr and not (work / "out.safetensors").exists(),
          f"exit {done.returncode}, missing {missing}: {done.stderr[-1200:]}")


def saved(state):
    torch.save(state, work / "w.pt")
    return work / "w.pt"


def near_misses():
    resnet = dict(spatial_dims=3, n_input_channels=1, feed_forward=False)
    for name, network, fragments in (
            ("SwinUNETR of 4 channels", nets.SwinUNETR(**{**SWIN, "in_channels": 4}),
             ("swin_unetr", "4 input channels: swinViT.patch_embed.proj.weight has shape [12, 4, 2, 2, 2], needs [12, 1, 2, 2, 2]")),
            ("2-D SwinUNETR", nets.SwinUNETR(**SWIN, spatial_dims=2), ("swin_unetr", "2-D convolutions", "3-D alone")),
            ("SwinUNETR of windows that are no cubes", nets.SwinUNETR(**SWIN, window_size=(7, 7, 5)), ("swin_unetr", "a window that is no cube")),
            ("SwinUNETR with batch norm", nets.SwinUNETR(**SWIN, norm_name="batch"), ("swin_unetr", "encoder1.layer.norm1.running_mean")),
            ("UNETR of 2 channels", nets.UNETR(**{**UNETR, "in_channels": 2}), ("unetr", "2 input channels: vit.patch_embedding")),
            ("2-D ViT", nets.ViT(**{**VIT, "img_size": (32, 32), "patch_size": (16, 16)}, spatial_dims=2), ("of vit", "2-D convolutions")),
            ("ViT of patches that are no cubes", nets.ViT(**{**VIT, "patch_size": (16, 16, 8)}), ("of vit", "a kernel that is no cube")),
            ("ResNet of 3 channels", nets.resnet18(**{**resnet, "n_input_channels": 3}), ("resnet", "3 input channels: conv1.weight")),
            ("ResNet with shortcuts of type A", nets.resnet18(**resnet, shortcut_type="A"), ("resnet", "shortcut_type=\"B\" alone")),
            ("2-D ResNet", nets.resnet18(**{**resnet, "spatial_dims": 2}), ("resnet", "2-D convolutions"))):
        refused(f"near miss: {name}", saved(network.state_dict()), "w.pt looks like weights of", *fragments)
    flat = saved(nets.ViT(**{**VIT, "img_size": (32, 64, 48)}).state_dict())
    refused("a position table of no cube asks for the crop", flat, "has shape [1, 24, 48]", "--crop X,Y,Z, where X/16 * Y/16 * Z/16 is 24")
    check("with the crop it imports", imported(flat, "--crop", "32,64,48").returncode == 0)
    (work / "out.safetensors").unlink(missing_ok=True)


def told():
    resnet = dict(spatial_dims=3, n_input_channels=1, feed_forward=False)
    group = nets.resnet10(**resnet, norm=("group", {"num_groups": 8}))  # MONAI's blocks keep batch norm
    refused("norms of two kinds are named", saved(group.state_dict()), "resnet", "norms of two kinds: bn1 has no running statistics")
    rest = {key: value for key, value in nets.resnet10(**resnet).state_dict().items() if not key.endswith(("running_mean", "running_var", "tracked"))}
    done = good("homolog-import", saved(rest), "--out", work / "out.safetensors")
    check("a group norm is not silently an instance norm", "A group norm has the same shapes and is not supported" in done.stdout, done.stdout[-800:])
    done = good("homolog-import", saved(nets.resnet10(**resnet, act="leakyrelu").state_dict()), "--out", work / "out.safetensors")
    check("that shapes do not tell a ResNet's activation is said", "taken as MONAI's default, ReLU" in done.stdout, done.stdout[-800:])
    square = nets.UNETR(**{**UNETR, "img_size": (32, 64, 128)})
    done = good("homolog-import", saved(square.state_dict()), "--out", work / "out.safetensors")
    check("tokens that happen to be a cube are said to be taken for one", "taken for a cube, a crop of 64,64,64; else give --crop" in done.stdout, done.stdout[-800:])
    wide = nets.SwinUNETR(**{**SWIN, "feature_size": 24}, norm_name=("group", {"num_groups": 4}))
    done = good("homolog-import", saved(wide.state_dict()), "--out", work / "out.safetensors")
    check("how many groups a norm has is told as a guess", "taken as group norm of 8 groups" in done.stdout, done.stdout[-800:])
    done = good("homolog-import", saved(nets.SwinUNETR(**SWIN).state_dict()), "--out", work / "out.safetensors")
    check("what shapes do not tell of SwinUNETR is said", "normalize=False" in done.stdout and "mergingv2" in done.stdout, done.stdout[-800:])
    (work / "out.safetensors").unlink()


def no_files():
    os.mkfifo(work / "pipe.pt")
    refused("a pipe is refused at once", work / "pipe.pt", "pipe.pt", "no regular file")
    refused("a device is refused at once", "/dev/zero", "no regular file")
    refused("a folder is refused", work, "it is a folder")


def other_kinds():
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), work / "script.pt")
    refused("TorchScript is named, with the way to its weights", work / "script.pt", "TorchScript program", "torch.jit.load(FILE).state_dict()")
    for name, tensor, said in (("meta", torch.empty(2, device="meta"), "meta device"), ("sparse", torch.eye(2).to_sparse(), "sparse tensor"),
                               ("quantised", torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "quantised tensor"),
                               ("complex", torch.ones(2, dtype=torch.complex64), "complex numbers"),
                               ("float8", torch.ones(2).to(torch.float8_e4m3fn), "float8")):
        torch.save({"w": tensor}, work / "kind.pt")
        refused(f"a {name} tensor is called unsupported, no attack", work / "kind.pt", said, "not supported", "plain tensors")


def same_file(state):
    file = saved(state)
    before = file.read_bytes()
    os.symlink(file, work / "link.pt")
    for out in (file, work / "link.pt"):
        done = run("homolog-import", file, "--out", out)
        check("an import never replaces what it reads", done.returncode == 2 and "is the file that is read" in done.stderr and file.read_bytes() == before, done.stderr)


def checkpoints(state):
    now = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    beside = {"saved": now, "day": now.date(), "took": datetime.timedelta(hours=3), "rng": numpy.random.get_state(), "args": argparse.Namespace(lr=0.1),
              "milestones": collections.Counter([1, 2]), "where": pathlib.Path("a"), "version": torch.__version__, "best": numpy.float32(0.5)}
    torch.save({"epoch": 3, **beside, "state_dict": state, "ema": {"other": torch.zeros(2)}}, work / "w.pt")
    done = good("homolog-import", work / "w.pt", "--out", work / "out.safetensors", "--json")
    check("a checkpoint with times, random states and settings gives its weights", "state_dict" in json.loads(done.stdout)["notes"][0])
    (work / "out.safetensors").unlink()
    refused("another part is taken when asked for", work / "w.pt", "other [2]", words=("--part", "ema"))
    refused("a part that is not there is answered with those that are", work / "w.pt", "ema", "--part", words=("--part", "no"))
    refused("a state dict under an unusual key: --part is named", saved({"ema": state}), "it holds ema", "--part KEY")


def limited(file):
    """Exit code and message, with memory for the program and a small file, not for what the file claims."""
    command = f"ulimit -v {6 << 20}; exec '{BIN / 'homolog-import'}' '{file}' --out '{work / 'out.safetensors'}'"
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, errors="replace", timeout=120, env=dict(os.environ, OMP_NUM_THREADS="1"))


def attacks(state):
    def header(text, data=b""):
        return struct.pack("<Q", len(text)) + text + data

    entry = b'{"dtype":"F32","shape":[4],"data_offsets":[0,16]}'
    zeros = bytes(1 << 20)
    for name, raw in (
            ("a header of brackets", header(b"[" * 90_000_000)),
            ("a header of many numbers", header(b'{"a":{"dtype":"F32","shape":[' + b"0," * 40_000_000 + b'0],"data_offsets":[0,0]}}')),
            ("one name twice", header(b'{"a":' + entry + b',"a":' + entry + b"}", bytes(16))),
            ("4000 tensors over the same bytes", header(b"{" + b",".join(b'"%d":{"dtype":"F32","shape":[262144],"data_offsets":[0,1048576]}' % i for i in range(4000)) + b"}", zeros)),
            ("a header length beyond the file", struct.pack("<Q", 1 << 63) + zeros),
            ("a name that is no UTF-8", header(b'{"\xff":' + entry + b"}", bytes(16))),
            ("an escape sequence for a name", header(b'{"\\u001b[2J":' + entry + b"}", bytes(16))),
            ("bytes behind the tensors", header(b'{"a":' + entry + b"}", bytes(32)))):
        (work / "evil.safetensors").write_bytes(raw)
        done = limited(work / "evil.safetensors")
        check(f"attack: {name}", done.returncode == 3 and "fix:" in done.stderr and "\x1b" not in done.stderr, f"{done.returncode} {done.stderr[-400:]}")
    wide = {key: value[:1, :1].clone() if value.dim() > 1 else value for key, value in state.items()}
    wide.update({"patch_embedding.patch_embeddings.weight": torch.zeros(60000, 1, 1, 1, 1), "patch_embedding.position_embeddings":
                 torch.zeros(1, 1, 60000), "blocks.0.mlp.linear1.weight": torch.zeros(1, 60000)})
    save_file({key: value.contiguous() for key, value in wide.items()}, work / "evil.safetensors")
    done = limited(work / "evil.safetensors")
    check("attack: a small file that claims a network of 43 billion numbers", done.returncode == 3 and "missing" in done.stderr, done.stderr[-400:])


def flips(state):
    """Bits of both containers that bear checksums: torch's archive, and homolog's own hash."""
    archive, own = saved(state), work / "own.safetensors"
    good("homolog-import", archive, "--out", own)
    base = load_file(own)
    draw = random.Random(11)
    for file in (archive, own):
        raw, ends = file.read_bytes(), []
        for i in range(40):
            flipped = bytearray(raw)
            near = (draw.randrange(3000), len(raw) - 1 - draw.randrange(3000), draw.randrange(len(raw)))[i % 3]
            flipped[near] ^= 1 << draw.randrange(8)
            (work / "flipped").write_bytes(flipped)
            done = imported(work / "flipped")
            out = work / "out.safetensors"
            same = done.returncode == 0 and all(torch.equal(value, base[key]) for key, value in load_file(out).items())
            if not same and not (done.returncode == 3 and "fix:" in done.stderr):
                ends.append((near, done.returncode, done.stderr[-200:]))
            out.unlink(missing_ok=True)
        check(f"40 flipped bits of {file.name}: refused, or the same weights", not ends, str(ends[:3]))


with tempfile.TemporaryDirectory(prefix="homolog-foreign-") as folder:
    work = pathlib.Path(folder)
    vit = nets.ViT(**VIT).state_dict()
    near_misses()
    told()
    other_kinds()
    same_file(vit)
    checkpoints(vit)
    attacks(vit)
    flips(vit)
    no_files()
finish()
