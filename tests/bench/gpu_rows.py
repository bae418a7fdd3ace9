"""Rows of the part `step` that need a GPU: how much of it training reaches. Without one they say so.

Ours is `homolog bench step|update`, the arithmetic of a step is what `homolog plan` counts. PEAK_TFLOPS is what bf16 products
reach on an H200 (dense, measured rather than sold)."""
import json
import sys

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
OTHERS = [("host_ms_a_step", 0.1, "ms"), ("step_vs_eager", 1.5, "s"), ("step_vs_compile", 1.1, "s")]


def missing(name, goal, unit, why):
    return {"part": "step", "name": name, "ours": None, "peer": None, "ratio": None, "spread": 0.0, "goal": goal, "met": None, "unit": unit,
            "note": f"not measured: {why}"}


class GpuRows:
    def __init__(self, bin_folder, repeats, run, row):
        self.bin, self.repeats, self.run, self.row = bin_folder, repeats, run, row

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

    def rows(self):
        names = [(name, goal, "of the peak") for name, _, _, goal in SHARES]
        names += [(NNFORMER[0], NNFORMER[3], "pairs/s"), (*UPDATE, "of a copy")]
        if not self.has_gpu():
            print("bench: no GPU here: its rows of the part step are not measured", file=sys.stderr)
            return [missing(*name, "no GPU") for name in [*names, *OTHERS]]
        rows = [self.share(*share) for share in SHARES]
        name, options, pairs, goal = NNFORMER
        rows.append(self.limit(name, self.pairs_per_s(options, pairs), goal, "pairs/s", f"{pairs} pairs of {CROP}, bf16"))
        shares = [self.told("bench", "update", "--device", "cuda")["share_of_copy"] for _ in range(self.repeats)]
        rows.append(self.limit(UPDATE[0], shares, UPDATE[1], "of a copy", "bytes a second of clip, update, EMA and zeroing"))
        return rows + [missing(*name, "their peers run on CPUs") for name in OTHERS]
