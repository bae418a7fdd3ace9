"""The step's peer on a GPU: PyTorch DDP in one process on MONAI's Swin UNETR or a plain nnFormer, bf16 autocast, fused AdamW, foreach clip and
EMA, nothing read back within a step; eager, or compiled (--compile). The same work as peer_ddp_step.py, from the same draws, so that losses can
be compared: with its, and with those of bench_step from the file of --start. Every step is on the same batch. Runs on a CPU, too.
Prints one JSON line: losses of all steps; of those after the first, median and least seconds, and milliseconds until the host had issued the
step (host_ms); peak memory after the first (on a CPU: of the process)."""
import argparse
import json
import resource
import statistics
import time
import warnings

import peer_objective
import plain_nnformer
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch.nn.parallel import DistributedDataParallel

CLIP, MOMENTUM = 3.0, 0.996
SMALLEST_FOR_INSTANCE_NORM = 64  # of below, the deepest map is one voxel, and of one voxel an instance norm leaves nothing


def swin_unetr(feature, crop):
    from monai.networks.nets import SwinUNETR

    class SwinUnetr(SwinUNETR):
        """MONAI's, which gives what the heads read, too, and need not run to its end. No hooks, no check of shapes: those stop a compiler."""
        def forward(self, image, reconstructs=True):
            tokens = lambda volume: volume.flatten(2).transpose(1, 2)
            hidden = self.swinViT(image, self.normalize)
            deepest = self.encoder10(hidden[4])
            below = self.decoder5(deepest, hidden[3])
            e, d = tokens(deepest), tokens(below)
            if not reconstructs:
                return e, d, None
            below = self.decoder4(below, self.encoder4(hidden[2]))
            below = self.decoder3(below, self.encoder3(hidden[1]))
            below = self.decoder2(below, self.encoder2(hidden[0]))
            return e, d, self.out(self.decoder1(below, self.encoder1(image)))

    norm = ("group", {"num_groups": 8}) if max(crop) < SMALLEST_FOR_INSTANCE_NORM else "instance"
    network = SwinUnetr(in_channels=1, out_channels=1, feature_size=feature, norm_name=norm)
    return peer_objective.Net(network, 16 * feature, 8 * feature)


def nnformer(feature, crop):
    if len(set(crop)) > 1:
        raise SystemExit(f"peer_step_gpu: plain_nnformer takes cubes alone, not {crop}: give --crop a side")
    return plain_nnformer.Net(feature, crop[0])


NETWORKS = {"swin_unetr": swin_unetr, "nnformer": nnformer}


def crop_of(text):
    sides = [int(side) for side in text.split(",")]
    if len(sides) not in (1, 3):
        raise argparse.ArgumentTypeError("one side, or X,Y,Z")
    return sides * 3 if len(sides) == 1 else sides


def settle(device):
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Training:
    def __init__(self, a):
        self.a, self.device = a, torch.device(a.device)
        torch.manual_seed(7)  # draws as peer_step.py has them
        self.image, self.masked = torch.rand(2 * a.pairs, 1, *a.crop), peer_objective.mask_of(2 * a.pairs, a.crop)
        torch.manual_seed(0)
        student, self.teacher = (peer_objective.Student(NETWORKS[a.network](a.feature, a.crop)), NETWORKS[a.network](a.feature, a.crop))
        self.teacher.load_state_dict(student.net.state_dict())
        self.teacher.requires_grad_(False)
        if a.start:
            save_file({**student.state_dict(), "image_B1XYZ": self.image, "masked_B1XYZ": self.masked}, a.start)
        self.to_device(student)
        self.centre, self.loss_of = torch.zeros(peer_objective.OUTPUTS, device=self.device), peer_objective.loss_of
        if a.compile:
            student.compile(mode=a.compile), self.teacher.compile(mode=a.compile)
            self.loss_of = torch.compile(self.loss_of, mode=a.compile)
        self.student = DistributedDataParallel(student, broadcast_buffers=False, gradient_as_bucket_view=True)
        self.parameters = [p for p in student.parameters() if p.requires_grad]
        self.followed = list(student.net.parameters()), list(self.teacher.parameters())
        decayed, others = [p for p in self.parameters if p.ndim > 1], [p for p in self.parameters if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW([{"params": decayed}, {"params": others, "weight_decay": 0.0}], lr=1e-4, weight_decay=0.04, fused=True)

    def to_device(self, student):
        form = torch.channels_last_3d if self.a.channels_last else torch.preserve_format
        for network in (student, self.teacher):
            network.to(self.device, memory_format=form)
        self.image, self.masked = (batch.to(self.device, memory_format=form) for batch in (self.image, self.masked))

    def step(self):
        with torch.autocast(self.device.type, torch.bfloat16, enabled=not self.a.float32):
            with torch.no_grad():
                cls, _, tokens, _ = self.teacher(self.image, reconstructs=False)
            loss = self.loss_of(*self.student(self.image, self.masked, tokens.float()), cls, self.image, self.centre)
        self.optimizer.zero_grad()
        loss.backward()
        self.centre.mul_(0.9).add_(cls.mean(0), alpha=0.1)
        dist.all_reduce(self.centre)  # of one process: already the mean
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP, foreach=True)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.followed[1], self.followed[0], 1 - MOMENTUM)
        return loss.detach()

    def timed(self):
        settle(self.device)
        start = time.perf_counter()
        loss = self.step()
        issued = time.perf_counter()
        settle(self.device)
        return loss, time.perf_counter() - start, issued - start

    def peak_mib(self):
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2 ** 20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def told(self):
        losses = [self.timed()[0]]  # the first warms up: memory, choice of kernels, compilation
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        more, seconds, host = zip(*(self.timed() for _ in range(self.a.steps)))
        return {"losses": [loss.item() for loss in (*losses, *more)], "seconds": statistics.median(seconds), "least_seconds": min(seconds),
                "host_ms": statistics.median(host) * 1e3, "peak_mib": self.peak_mib(), "parameters": sum(p.numel() for p in self.parameters)}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--network", choices=NETWORKS, default="swin_unetr")
    parser.add_argument("--feature", type=int, default=48)
    parser.add_argument("--crop", type=crop_of, default=[96] * 3, metavar="SIDE|X,Y,Z")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20, help="after a first one that warms up")
    parser.add_argument("--compile", nargs="?", const="default", metavar="MODE", help="through torch.compile, in one of its modes")
    parser.add_argument("--channels-last", action="store_true", help="volumes and weights of convolutions in channels_last_3d")
    parser.add_argument("--float32", action="store_true", help="no autocast")
    parser.add_argument("--start", metavar="FILE", help="write weights before the first step and the batch, as safetensors")
    return parser.parse_args()


def main():
    warnings.filterwarnings("ignore")
    a = arguments()
    if a.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("peer_step_gpu: no GPU can be used here: see nvidia-smi, or give --device cpu")
    torch.backends.cudnn.benchmark = True  # as homolog trains: TF32 where autocast leaves float32, too
    torch.set_float32_matmul_precision("high")
    dist.init_process_group("nccl" if a.device == "cuda" else "gloo", store=dist.TCPStore("127.0.0.1", 0, 1, True), rank=0, world_size=1)
    told = Training(a).told()
    dist.destroy_process_group()
    print(json.dumps({**vars(a), "torch": torch.__version__, **told}))


if __name__ == "__main__":
    main()
