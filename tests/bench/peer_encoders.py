"""The encoders' peer: one step (forward, mean square of the output, backward) of a MONAI network on one thread.
Arguments: class in monai.networks.nets, its constructor's arguments as JSON, side of the crop. Prints one JSON
object: processor seconds of the step after a warm-up, largest resident memory, before and in all."""
import json
import resource
import sys
import time

import torch
from monai.networks import nets


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def step(network, image):
    start = time.process_time()
    out = network(image)
    out = out[0] if isinstance(out, tuple) else out  # ViT gives its hidden states, too
    out.square().mean().backward()
    seconds = time.process_time() - start
    network.zero_grad(set_to_none=True)  # as ours
    return seconds


def main():
    name, arguments, side = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(1)
    torch.manual_seed(1)
    idle = peak_mib()
    network = getattr(nets, name)(**arguments).eval()
    image = torch.rand(1, 1, side, side, side)
    step(network, image)
    print(json.dumps({"seconds": step(network, image), "peak_mib": peak_mib(), "idle_mib": idle,
                      "parameters": sum(p.numel() for p in network.parameters())}))


if __name__ == "__main__":
    main()
