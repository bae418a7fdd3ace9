"""MONAI's own networks and ours, with the same weights, compute the same; and weights move both ways.

Claims: weights that MONAI 1.6.1 saved (.pt and .safetensors) import, and forward and every gradient agree within 1e-4 of the
largest number of the tensor, forward in float32, gradients in float64 (in float32 rounding crosses the kinks of ReLUs), in
evaluation and in training, where batch norms take and keep the same statistics; what a run here exports loads in the MONAI
network that the file's metadata describe, strict, and computes the same; of an encoder alone exactly the documented keys are
missing. Random weights and inputs, small widths. Dropout and stochastic depth are 0, as in both by default.
"""
import json
import pathlib
import tempfile

import torch
from monai.networks import nets
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from programs import SOURCE, check, finish, good, run

TOLERANCE = 1e-4

torch.set_num_threads(1)
torch.manual_seed(7)


def shuffled(network):
    """Weights as after training: norms, biases and running statistics are no longer what they start from."""
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.add_(0.02 * torch.randn_like(tensor))
        for name, tensor in network.named_buffers():
            if name.endswith("running_mean"):
                tensor.normal_(0, 0.1)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
    return network.eval()


def monai_outputs(network, image):
    """By the names of run_network: a full-resolution map, or the deepest tokens without the class token."""
    if isinstance(network, (nets.SwinUNETR, nets.UNETR)):
        return {"reconstruction": network(image)}
    kept = []
    module = network.norm if isinstance(network, nets.ViT) else network.layer4
    hook = module.register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    network(image)
    hook.remove()
    if isinstance(network, nets.ViT):
        tokens = kept[0][:, 1:] if hasattr(network, "cls_token") else kept[0]
        return {"encoder": tokens}
    return {"encoder": kept[0].flatten(2).transpose(1, 2)}


def deviation(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-12)).item()


def both(imported, network, image, mode="eval"):
    """Outputs and gradients of MONAI's network and of ours, of the same random weighting of the outputs."""
    network.to(image.dtype).train(mode == "train").zero_grad()
    outputs = monai_outputs(network, image)
    probes = {key: torch.randn(value.shape, dtype=image.dtype) / value.numel() ** 0.5 for key, value in outputs.items()}
    sum((outputs[key] * probes[key]).sum() for key in outputs).backward()
    save_file({"image": image, **{f"probe.{key}": probe for key, probe in probes.items()}}, work / "input.safetensors")
    good("run_network", imported, work / "input.safetensors", work / "ours.safetensors", mode)
    gradients = {key: p.grad for key, p in network.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    return outputs, gradients, load_file(work / "ours.safetensors")


def same_outputs(name, outputs, ours):
    for key, value in outputs.items():
        off = deviation(ours[f"out.{key}"], value.detach())
        check(f"{name}: {key} is MONAI's: off by {off:.1e}", off < TOLERANCE)


def same_gradients(name, gradients, ours):
    absent = [key for key in gradients if f"grad.{key}" not in ours]
    check(f"{name}: every gradient is there", not absent, str(absent[:3]))
    # Biases before a norm have gradients that are 0 but for rounding: compared with the largest one.
    floor = 1e-8 * max(g.abs().max() for g in gradients.values())
    worst = max(((ours[f"grad.{key}"] - g).abs().max() / g.abs().max().clamp_min(floor)).item() if f"grad.{key}" in ours else 1
                for key, g in gradients.items())
    check(f"{name}: {len(gradients)} gradients are MONAI's: off by {worst:.1e}", worst < TOLERANCE)


def same_statistics(name, before, network, ours):
    """Of batch norms, after a pass in training."""
    moved = {key: value for key, value in network.named_buffers() if not torch.equal(value, before[key])}
    off = max((deviation(ours[f"buffer.{key}"].double(), value.double()) for key, value in moved.items()), default=0)
    check(f"{name}: {len(moved)} statistics moved as MONAI's: off by {off:.1e}", off < TOLERANCE)
    check(f"{name}: statistics move where there are any", bool(moved) == any("running_mean" in key for key in before))


def compare(name, imported, network, sides):
    image = torch.rand(2, 1, *sides)
    outputs, _, ours = both(imported, network, image)
    same_outputs(name, outputs, ours)
    rows_tied = any("running_mean" in key for key, _ in network.named_buffers())
    if rows_tied:  # elsewhere both modes compute the same
        _, gradients, ours = both(imported, network, image[:1].double())
        same_gradients(name, gradients, ours)
    before = {key: value.clone() for key, value in network.double().named_buffers()}
    outputs, gradients, ours = both(imported, network, image[:2 if rows_tied else 1].double(), "train")  # last: its statistics move
    name += " in training"
    same_outputs(name, outputs, ours)
    same_gradients(name, gradients, ours)
    same_statistics(name, before, network, ours)


def theirs_to_ours():
    vit = dict(in_channels=1, img_size=(48, 48, 48), patch_size=(16, 16, 16), hidden_size=48, mlp_dim=96, num_layers=3, num_heads=4)
    swin = dict(in_channels=1, out_channels=1, feature_size=12, depths=(2, 2, 1, 1), num_heads=(1, 2, 4, 8))
    cases = [
        ("SwinUNETR", "swin_unetr", lambda: nets.SwinUNETR(**swin), (64, 32, 32), {}),
        ("SwinUNETR v2", "swin_unetr", lambda: nets.SwinUNETR(**swin, use_v2=True), (32, 64, 32), {}),
        ("SwinUNETR with group norm", "swin_unetr",
         lambda: nets.SwinUNETR(**{**swin, "feature_size": 24}, norm_name=("group", {"num_groups": 8})), (32, 32, 32), {}),
        ("UNETR", "unetr", lambda: nets.UNETR(in_channels=1, out_channels=1, img_size=(48, 48, 48), feature_size=4, hidden_size=48,
                                              mlp_dim=96, num_heads=4), (48, 48, 48), {"model.unetr.heads": 4}),
        ("ViT", "vit", lambda: nets.ViT(**vit, qkv_bias=True), (48, 48, 48), {"model.vit.heads": 4}),
        ("ViT with class token", "vit", lambda: nets.ViT(**vit, classification=True), (48, 48, 48), {"model.vit.heads": 4}),
        ("ResNet-18", "resnet", lambda: nets.resnet18(spatial_dims=3, n_input_channels=1, num_classes=3), (48, 16, 32), {}),
        ("ResNet-50", "resnet", lambda: nets.resnet50(spatial_dims=3, n_input_channels=1, feed_forward=False), (48, 32, 16), {}),
    ]
    for name, backbone, make, sides, options in cases:
        network = shuffled(make())
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
        torch.save(state, work / "theirs.pt")
        torch.save({"state_dict": {"module." + key: value for key, value in state.items()}, "epoch": 3}, work / "theirs.pth",
                   _use_new_zipfile_serialization=False)
        save_file(state, work / "theirs.safetensors")
        settings = [word for key, value in options.items() for word in ("--set", f"{key}={value}")]
        hashes = set()
        for theirs in ("theirs.pt", "theirs.pth", "theirs.safetensors"):
            done = good("homolog-import", work / theirs, "--out", work / "imported.safetensors", "--json", *settings)
            report = json.loads(done.stdout)
            hashes.add(report["weights_xxh3"])
            check(f"{name}: {theirs} is recognised", report["backbone"] == backbone)
        check(f"{name}: all three files import the same", len(hashes) == 1)
        compare(name, work / "imported.safetensors", network, sides)


# Keys that MONAI reports missing when it loads the encoder alone (docs/formats/weights.md).
ENCODER_LACKS = {"SwinUNETR": {"out"}, "UNETR": {"out"}, "ViT": set(), "ResNet": set()}

RUN_CROP = (64, 64, 32)  # which position tables are made for
OURS = [  # network, options, sides of the images to compare on
    ("swin_unetr", {"feature": 12, "depths": "2,1,1,1", "heads": "1,2,4,8", "use_v2": "true"}, (32, 32, 64)),
    ("unetr", {"feature": 4, "hidden": 48, "mlp": 96, "heads": 4}, RUN_CROP),
    ("vit", {"hidden": 48, "mlp": 96, "heads": 4, "decoder_width": 24, "decoder_heads": 2, "decoder_layers": 1}, RUN_CROP),
    ("resnet", {"depth": 50}, (48, 32, 16)),
    ("resnet", {"depth": 18}, (16, 32, 48)),
]


def built_from(path):
    """What the documentation tells a Python user to write."""
    with safe_open(path, "pt") as file:
        about = file.metadata()
    return getattr(nets, about["monai.network"])(**json.loads(about["monai.arguments"])), load_file(path)


def ours_to_theirs():
    good("make_store", work / "store", 8, 0)
    for backbone, options, sides in OURS:
        settings = [word for key, value in options.items() for word in ("--set", f"model.{backbone}.{key}={value}")]
        folder = work / f"run-{backbone}{options.get('depth', '')}"
        good("homolog-train", "--config", SOURCE / "configs" / "alice_small.ini", "--run", folder, "--set", f"data.store={work / 'store'}",
             "--set", f"model.backbone={backbone}", *settings, "--set", "data.batch=1", "--set", "schedule.steps=2", "--set", "schedule.warmup_steps=1", "--set",
             "schedule.validate_every=0", "--set", "monitor.enabled=false")
        full, encoder, imported = (work / f"{part}.safetensors" for part in ("full", "encoder", "imported"))
        good("homolog-export", folder, "--out", full, "--layout", "monai", "--full")
        good("homolog-export", folder, "--out", encoder, "--layout", "monai")
        network, state = built_from(full)
        name = type(network).__name__
        try:
            network.load_state_dict(state, strict=True)
            check(f"{name}: a run's network loads in MONAI, strict", True)
        except RuntimeError as error:
            check(f"{name}: a run's network loads in MONAI, strict", False, str(error)[:600])
            continue
        good("homolog-import", full, "--out", imported)
        compare(f"{name}{options.get('depth', '')} of a run", imported, network, sides)
        other, state = built_from(encoder)
        keys = other.load_state_dict(state, strict=False)
        check(f"{name}: the encoder alone brings nothing that MONAI does not know", not keys.unexpected_keys, str(keys.unexpected_keys[:3]))
        lacks = {key.split(".")[0] for key in keys.missing_keys}
        check(f"{name}: the encoder alone lacks exactly the documented keys", lacks == ENCODER_LACKS[name], str(keys.missing_keys[:3]))


def vit_within_unetr():
    out = work / "vit-unetr.safetensors"
    good("homolog-export", work / "run-vit", "--out", out, "--layout", "monai-unetr")
    network, state = built_from(out)
    keys = network.load_state_dict(state, strict=False)
    check("monai-unetr: a ViT becomes the encoder of MONAI's UNETR", type(network).__name__ == "UNETR" and not keys.unexpected_keys
          and not [key for key in keys.missing_keys if key.startswith("vit.")], str(keys))
    refused = run("homolog-export", work / "run-resnet18", "--out", work / "no.safetensors", "--layout", "monai-unetr")
    check("monai-unetr: of another network it is refused", refused.returncode == 2 and "UNETR" in refused.stderr
          and not (work / "no.safetensors").exists(), refused.stderr[-300:])


with tempfile.TemporaryDirectory(prefix="homolog-monai-") as folder:
    work = pathlib.Path(folder)
    theirs_to_ours()
    ours_to_theirs()
    vit_within_unetr()
finish()
