"""The step's peer: PyTorch DDP (gloo) on MONAI's Swin UNETR, by the program peer_ddp_step.py, in this process as one
worker on one thread, with every step on the same batch, so that bench_step can be asked for the same losses.
Arguments: that program, network (swin_unetr, or nnformer: plain_nnformer.py), channels, side of the crop, steps; then a file to
write (weights before the first step and the batch), or nothing. Prints the peer's JSON line with the losses beside it."""
import argparse
import importlib.util
import json
import sys
import warnings

import plain_nnformer
import torch
from safetensors.torch import save_file

PORT = 29631


def load(path):
    spec = importlib.util.spec_from_file_location("peer_ddp_step", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Told:
    """Where the peer puts its result."""
    def put(self, value):
        self.value = value


def main():
    warnings.filterwarnings("ignore")
    program, network, feature, crop, steps = *sys.argv[1:3], *map(int, sys.argv[3:6])
    out = sys.argv[6] if len(sys.argv) > 6 else None
    peer = load(program)
    if network == "nnformer":
        peer.Net = plain_nnformer.Net
    torch.manual_seed(7)
    image, masked = torch.rand(2, 1, crop, crop, crop), peer.mask_of(2, crop)
    rand, loss_of, student = torch.rand, peer.loss_fn, peer.Student
    losses = []

    def made(*arguments):
        network = student(*arguments)
        if out:
            tensors = {name: value.clone() for name, value in network.state_dict().items()}
            save_file({**tensors, "image_B1XYZ": image, "masked_B1XYZ": masked}, out)
        return network

    def noted(*arguments):
        loss = loss_of(*arguments)
        losses.append(loss.item())
        return loss

    torch.rand = lambda *shape: image.clone() if shape == tuple(image.shape) else rand(*shape)
    peer.mask_of, peer.loss_fn, peer.Student = lambda n, c: masked.clone(), noted, made
    told = Told()
    peer.work(0, argparse.Namespace(feature=feature, crop=crop, procs=1, threads=1, steps=steps, batch=1, port=PORT, opt="foreach",
                                    ema="foreach", clip="foreach", bf16=False, only_opt=False), told)
    print(json.dumps({**told.value, "losses": losses}))


if __name__ == "__main__":
    main()
