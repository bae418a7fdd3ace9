"""Swin transformers that were pre-trained by themselves start a Swin UNETR here as they do in MONAI.

Claims: self-supervised weights as published (names under "module.", perceptrons fc1 and fc2, heads beside them), the names that
MONAI's filter_swinunetr reads, and the transformer's part of a SwinUNETR all import, heads left out and told; every tensor of
the transformer is what MONAI's own SwinUNETR has after its load_from of the same file, the convolutions are missing and told;
a run starts from the result, and from the published file itself. A part of the convolutions is not taken for none of them.
"""
import json
import pathlib
import tempfile

import torch
from monai.networks import nets
from monai.networks.nets.swin_unetr import filter_swinunetr
from monai.networks.utils import copy_model_state
from safetensors.torch import load_file, save_file

from programs import SOURCE, check, finish, good, run

torch.manual_seed(5)
SHAPE = dict(in_channels=1, out_channels=2, feature_size=12, depths=(2, 1, 1, 1), num_heads=(1, 2, 4, 8))
SETTINGS = [word for key, value in {"feature": 12, "depths": "2,1,1,1", "heads": "1,2,4,8"}.items() for word in
            ("--set", f"model.swin_unetr.{key}={value}")]


def transformer(network):
    return {key: value for key, value in network.state_dict().items() if key.startswith("swinViT.")}


def pretrained():
    network = nets.SwinUNETR(**SHAPE)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def published(network):
    names = {"module." + key.removeprefix("swinViT.").replace("mlp.linear", "mlp.fc"): value for key, value in transformer(network).items()}
    heads = {"module.rotation_head.weight": torch.randn(4, 192), "module.contrastive_head.bias": torch.randn(512),
             "module.conv.0.weight": torch.randn(2, 2, 3, 3, 3)}
    return {**names, **heads}


def imports(name, file, wanted, left_out):
    report = json.loads(good("homolog-import", file, "--out", work / "imported.safetensors", "--json").stdout)
    got = load_file(work / "imported.safetensors")
    check(f"{name}: {len(wanted)} tensors are those of MONAI", got.keys() == wanted.keys()
          and all(torch.equal(got[key], wanted[key]) for key in wanted), str(got.keys() ^ wanted.keys())[:500])
    check(f"{name}: an encoder, heads left out and convolutions absent, all told", report["backbone"] == "swin_unetr"
          and report["contents"] == "encoder" and set(report["left_out"]) == left_out
          and "decoder1.transp_conv.conv.weight" in report["absent"]
          and any("mergingv2" in note for note in report["notes"]), json.dumps(report)[:1500])


def starts_run(name, file):
    run_folder = work / f"run-{name}"
    started = run("homolog-launch", "--workers", 1, "--config", SOURCE / "configs" / "alice_small.ini", "--run", run_folder, "--set",
                  f"data.store={work / 'store'}", "--set", "model.backbone=swin_unetr", *SETTINGS, "--set", f"model.weights={file}", "--set",
                  "data.batch=1", "--set", "schedule.steps=1", "--set", "schedule.warmup_steps=0", "--set", "schedule.validate_every=0", "--set",
                  "schedule.base_lr=0", "--set", "schedule.min_lr=0", "--set", "monitor.enabled=false")
    if started.returncode:
        check(f"{name}: a launch starts from it", False, started.stderr[-2000:])
        return
    good("homolog-export", run_folder, "--out", work / "after.safetensors", "--layout", "monai")
    after = load_file(work / "after.safetensors")
    check(f"{name}: a launch starts from it", all(torch.equal(after[key], value) for key, value in swin.items()))


with tempfile.TemporaryDirectory(prefix="homolog-swin-") as folder:
    work = pathlib.Path(folder)
    network = pretrained()
    ssl = work / "model_swinvit.pt"
    torch.save({"epoch": 3, "state_dict": published(network), "optimizer": {"state": {}}}, ssl)
    monai = nets.SwinUNETR(**SHAPE)
    monai.load_from(torch.load(ssl, weights_only=True))
    swin = transformer(monai)
    imports("load_from", ssl, swin, {"rotation_head.weight", "contrastive_head.bias", "conv.0.weight"})

    filtered = {"encoder." + (key.replace(".0.", ".0.0.", 1) if key.startswith("layers") else key): value
                for key, value in ((key.removeprefix("swinViT."), value) for key, value in transformer(network).items())}
    filtered["encoder.mask_token"] = torch.zeros(1, 1, 12)
    torch.save({"model": filtered}, work / "filtered.pth")
    other = nets.SwinUNETR(**SHAPE)
    copy_model_state(other, filtered, filter_func=filter_swinunetr)
    imports("filter_swinunetr", work / "filtered.pth", transformer(other), {"encoder.mask_token"})

    part = {key: value.contiguous() for key, value in transformer(network).items()}
    save_file(part, work / "part.safetensors")
    imports("swinViT.* alone", work / "part.safetensors", transformer(network), set())
    save_file({**part, "encoder1.layer.conv1.conv.weight": torch.zeros(12, 1, 3, 3, 3)}, work / "some.safetensors")
    some = run("homolog-import", work / "some.safetensors", "--out", work / "no.safetensors")
    check("a part of the convolutions is not taken for none of them", some.returncode == 3
          and "missing: encoder1.layer.conv2.conv.weight" in some.stderr and not (work / "no.safetensors").exists(), some.stderr[-800:])

    good("make_store", work / "store", 8, 0)
    good("homolog-import", ssl, "--out", work / "imported.safetensors")
    starts_run("imported", work / "imported.safetensors")
    starts_run("published", ssl)
finish()
