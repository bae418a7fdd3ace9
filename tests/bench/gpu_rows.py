"""Rows of the part `step` that need a GPU: how much of it training reaches, and steps against PyTorch's. Without one they say so.

Of the shares ours is `homolog bench step|update`, the arithmetic of a step is what `homolog plan` counts; PEAK_TFLOPS is what bf16
products reach on an H200 (dense, measured rather than sold). Steps are bench_step's and those of step/peer_step_gpu.py."""
import json
import math
import pathlib
import statistics
import sys

from row import missing

PEAK_TFLOPS = 790
CROP = "192,192,64"
# Row, backbone and its options, pairs a step, goal: share of the peak.
SHARES = [
    ("mfu_vit_b16", ["model.backbone=vit"], 16, 0.5),
    ("mfu_resnet50", ["model.backbone=resnet", "model.resnet.depth=50"], 16, 0.5),
    ("mfu_swin_unetr48", ["model.backbone=swin_unetr", "model.swin_unetr.feature=48"], 4, 0.4),
]
NNFORMER = ("nnformer48_pairs", ["model.backbone=nnformer"], 8, 150)
UPDATE = ("update_vs_copy", 0.85)
HOST, EAGER, COMPILED = ("host_ms_a_step", 0.1, "ms"), ("step_vs_eager", 1.5, "s"), ("step_vs_compile", 1.1, "s")
STEP = ["--network", "swin_unetr", "--feature", 48, "--crop", 96, "--steps", 20]  # ours and the peers'
PAIRS = 4
PEER = pathlib.Path(__file__).resolve().parent / "step" / "peer_step_gpu.py"
PEERS = {"eager": [], "compiled": ["--compile"]}
LAYOUTS = {"contiguous": [], "channels last": ["--channels-last"]}
# How far apart losses of the same step may be, of their size: both round to bf16 (2^-9 of a number), in other places and orders, and what is
# rounded meets temperatures of 0.04. On a CPU 21 steps of a small nnFormer stayed within 0.003; in float32 the first agree to 1e-6.
LOSS_TOLERANCE = 0.02


def apart(ours, peers):
    off = [abs(a - b) / abs(b) for a, b in zip(ours, peers, strict=True)]
    return max(off) if all(map(math.isfinite, off)) else math.inf


class GpuRows:
    def __init__(self, bin_folder, folder, repeats, run, row):
        self.bin, self.folder, self.repeats, self.run, self.row = bin_folder, folder, repeats, run, row

    def has_gpu(self):
        import torch
        return torch.cuda.is_available()

    def told(self, program, *words):
        return json.loads(self.run([self.bin / f"homolog-{program}", *words, "--json"]))

    def settings(self, options, pairs):
        words = ["--crop", CROP]
        for option in [*options, f"data.batch={pairs}", "cluster.precision=bf16"]:
            words += ["--set", option]
        return words

    def pairs_per_s(self, options, pairs):
        return [self.told("bench", "step", "--device", "cuda", *self.settings(options, pairs))["pairs_per_s"] for _ in range(self.repeats)]

    def share(self, name, options, pairs, goal):
        work = self.told("plan", *self.settings(options, pairs), "--nodes", 1, "--gpus-per-node", 1, "--gpu", "h200")["work_of_one_pass"]
        flop = sum(work[part]["flop"] for part in ("target", "student", "backward")) / pairs
        shares = [rate * flop / (PEAK_TFLOPS * 1e12) for rate in self.pairs_per_s(options, pairs)]
        return self.limit(name, shares, goal, "of the peak", f"{pairs} pairs of {CROP}, bf16, against {PEAK_TFLOPS} TFLOP/s")

    def limit(self, name, values, goal, unit, note):
        made = self.row("step", name, values, unit=unit, note=note)
        return made | {"goal": goal, "met": made["ours"] >= goal}

    def our_step(self, start):
        words = ["--device", "cuda", "--precision", "bf16", "--cuda-graph", "true", "--start", start, *STEP]
        told = json.loads(self.run([self.bin / "bench_step", *words]))
        return told | {"seconds": statistics.median(told["parts"]["step"]["wall"])}

    def peer_step(self, *words):
        return json.loads(self.run([sys.executable, PEER, "--device", "cuda", "--pairs", PAIRS, *STEP, *words]))

    def quickest_layouts(self, start):
        """Of each peer, by a first run of each. They all write the same start."""
        quickest = {}
        for name, words in PEERS.items():
            told = {layout: self.peer_step(*words, *more, "--start", start)["seconds"] for layout, more in LAYOUTS.items()}
            quickest[name] = min(told, key=told.get)
        return quickest

    def turns(self):
        """Ours and the peers in turns; from the same weights and on the same batch, every step."""
        start = self.folder / "step-gpu.safetensors"
        layouts, ours, peers = self.quickest_layouts(start), [], {name: [] for name in PEERS}
        for _ in range(self.repeats):
            ours.append(self.our_step(start))
            for name, words in PEERS.items():
                peers[name].append(self.peer_step(*words, *LAYOUTS[layouts[name]]))
        return ours, peers, layouts

    def steps(self):
        ours, peers, layouts = self.turns()
        of = lambda turns, key: [turn[key] for turn in turns]
        recorded = "recorded (cluster.cuda_graph)" if all(of(ours, "recorded")) else "NOT RECORDED, though cluster.cuda_graph"
        what, rows = f"Swin UNETR 48, {PAIRS} pairs of 96^3, bf16; ours {recorded}", []
        host = self.row("step", HOST[0], of(ours, "host_ms"), of(peers["eager"], "host_ms"), HOST[2], better="less",
                        note=f"{what}; until a step is issued, without the wait before its consensus; peer: eager DDP; goal: at most {HOST[1]}")
        rows.append(host | {"goal": HOST[1], "met": host["ours"] <= HOST[1]})
        for (name, goal, unit), peer in ((EAGER, "eager"), (COMPILED, "compiled")):
            off = max(apart(mine["losses"], theirs["losses"]) for mine, theirs in zip(ours, peers[peer]))
            same = off <= LOSS_TOLERANCE
            memory = [statistics.median(of(turns, "peak_mib")) / 1024 for turns in (ours, peers[peer])]
            note = (f"{what}; peer: DDP on MONAI's, {peer}, {layouts[peer]}; peak memory {memory[0]:.1f} GiB, peer {memory[1]:.1f}; losses at most "
                    f"{off:.1e} apart, {LOSS_TOLERANCE:g} is bf16's" + ("" if same else ": NOT THE SAME WORK"))
            made = self.row("step", name, of(ours, "seconds"), of(peers[peer], "seconds"), unit, goal=goal, better="less", note=note)
            rows.append(made | {"met": made["met"] and same})
        return rows

    def rows(self):
        names = [(name, goal, "of the peak") for name, _, _, goal in SHARES]
        names += [(NNFORMER[0], NNFORMER[3], "pairs/s"), (*UPDATE, "of a copy"), HOST, EAGER, COMPILED]
        if not self.has_gpu():
            print("bench: no GPU here: its rows of the part step are not measured", file=sys.stderr)
            return [missing("step", *name, "no GPU") for name in names]
        rows = [self.share(*share) for share in SHARES]
        name, options, pairs, goal = NNFORMER
        rows.append(self.limit(name, self.pairs_per_s(options, pairs), goal, "pairs/s", f"{pairs} pairs of {CROP}, bf16"))
        shares = [self.told("bench", "update", "--device", "cuda")["share_of_copy"] for _ in range(self.repeats)]
        rows.append(self.limit(UPDATE[0], shares, UPDATE[1], "of a copy", "bytes a second of clip, update, EMA and zeroing"))
        return rows + self.steps()
