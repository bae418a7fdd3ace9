"""Rows of the part `step`: training steps of homolog's engine and of PyTorch DDP with MONAI's Swin UNETR or a plain nnFormer, on the same
weights and batch, in turns, one thread. Ratios are of processor time where both have one process."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

from gpu_rows import GpuRows

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE.parents[2] / "shared" / "peers"
PROGRAM = PEERS / "peer_ddp_step.py"
STEPS = {32: 6, 64: 3}  # after one that warms up, by side of the crop
WIDTHS = {"swin_unetr": 24, "nnformer": 48}
GOALS = {"step_vs_ddp": 2.2, "update_vs_fused": 1.5, "update_vs_foreach": 5, "weak_scaling_2": 0.97, "exposed_allreduce": 0.03,
         "rss_vs_ddp": 0.6, "start_vs_ddp": 0.3}
LOSS_TOLERANCE = 1e-4


def mpirun(ranks):
    root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return ["mpirun", *root, "--oversubscribe", "--bind-to", "core" if os.cpu_count() >= ranks else "none", "-np", ranks]


class StepPart:
    def __init__(self, bin_folder, folder, repeats, run, row):
        self.program, self.folder, self.repeats, self.run, self.row = bin_folder / "bench_step", folder, repeats, run, row
        self.environment = dict(os.environ, OMP_NUM_THREADS="1")

    def rows(self):
        if not PROGRAM.exists():
            print(f"bench: the step's peer is not here ({PROGRAM}): its rows are left out", file=sys.stderr)
            return self.on_gpu()
        rows = [row for network in WIDTHS for side in STEPS for row in self.steps(network, side)]
        return rows + self.recomputed(64) + self.updates() + self.two_workers() + [self.start()] + self.on_gpu()

    def on_gpu(self):
        return GpuRows(self.program.parent, self.folder, self.repeats, self.run, self.row).rows()

    def note(self, rows):
        for row in rows:
            print(f"bench: {row['name']} {row['ours']:.4g} {row['unit']}, ratio {row['ratio'] or 0:.2f}", file=sys.stderr)
        return rows

    def ours(self, *words, ranks=1):
        command = [*(mpirun(ranks) if ranks > 1 else []), self.program, *words]
        return json.loads(self.run(command, env=self.environment))

    def peer(self, network, side, out=()):
        return json.loads(self.run([sys.executable, HERE / "step" / "peer_step.py", PROGRAM, network, WIDTHS[network], side, STEPS[side], *out],
                                   env=self.environment))

    def start_file(self, network, side):
        file = self.folder / f"step-{network}-{side}.safetensors"
        if not file.exists():
            self.peer(network, side, [file])
        return file

    def steps(self, network, side):
        file, ours, peer, rss, peer_rss, off = self.start_file(network, side), [], [], [], [], 0.0
        of = f"{side}" if network == "swin_unetr" else f"{network}_{side}"
        for _ in range(self.repeats):
            mine = self.ours("--start", file, "--network", network, "--feature", WIDTHS[network], "--crop", side, "--steps", STEPS[side])
            theirs = self.peer(network, side)
            ours.append(min(mine["parts"]["step"]["processor"]))
            peer.append(theirs["cpu_s_min"]["step"])
            rss.append(mine["rss_mib"]), peer_rss.append(theirs["rss_MB"])
            off = max(off, *(abs(a - b) / abs(b) for a, b in zip(mine["losses"], theirs["losses"])))
        same = f"losses of {STEPS[side] + 1} steps at most {off:.1e} apart" + ("" if off <= LOSS_TOLERANCE else ": NOT THE SAME WORK")
        name = {"swin_unetr": "MONAI's Swin UNETR", "nnformer": "a plain nnFormer"}[network]
        rows = [self.row("step", f"step_vs_ddp_{of}", ours, peer, "s", goal=GOALS["step_vs_ddp"], better="less",
                         note=f"peer: {name} {WIDTHS[network]}; processor time of the fastest step; {same}"),
                self.row("step", f"rss_vs_ddp_{of}", rss, peer_rss, "MiB", better="less")]
        rows[1].update(goal=GOALS["rss_vs_ddp"], met=1 / rows[1]["ratio"] <= GOALS["rss_vs_ddp"], note="goal: at most 0.6 of the peer")
        if off > LOSS_TOLERANCE:
            rows[0]["met"] = False
        return self.note(rows)

    def recomputed(self, side):
        """The same step with the insides of blocks recomputed in backward; the peer is ours with them kept."""
        file, names = self.start_file("swin_unetr", side), ("kept", "recomputed")
        seconds, memory, losses = ({name: [] for name in names} for _ in range(3))
        for _ in range(self.repeats):
            for name in names:
                told = self.ours("--start", file, "--crop", side, "--steps", STEPS[side], "--activation-checkpoint",
                                 "true" if name == "recomputed" else "false")
                seconds[name].append(min(told["parts"]["step"]["processor"]))
                memory[name].append(told["rss_mib"]), losses[name].extend(told["losses"])
        off = max(abs(a - b) / abs(b) for a, b in zip(losses["recomputed"], losses["kept"]))
        note = f"cluster.activation_checkpoint; the peer is ours without it; losses at most {off:.1e} apart"
        return self.note([self.row("step", f"checkpoint_{name}_{side}", told["recomputed"], told["kept"], unit, better="less", note=note)
                          for name, told, unit in (("rss", memory, "MiB"), ("time", seconds, "s"))])

    def updates(self):
        """72.8 million parameters: clip by the global norm, AdamW, EMA."""
        ours, fused, foreach = [], [], []
        for _ in range(self.repeats):
            mine = self.ours("--update-alone", "true", "--feature", 48, "--crop", 64, "--steps", 8)
            ours.append(sum(min(mine["parts"][part]["processor"]) for part in ("clip", "update")))
            for how, times in (("fused", fused), ("foreach", foreach)):
                told = json.loads(self.run([sys.executable, PROGRAM, "--only-opt", "--feature", 48, "--crop", 64, "--threads", 1, "--procs", 1,
                                            "--steps", 8, "--opt", how], env=self.environment))
                times.append(sum(told["cpu_s_min"][part] for part in ("clip", "adamw", "ema")))
        told = f"{mine['parameters'] / 1e6:.1f} M parameters, one thread, the fastest of 8"
        return self.note([self.row("step", f"update_vs_{how}", ours, times, "s", goal=GOALS[f"update_vs_{how}"], better="less", note=told)
                          for how, times in (("fused", fused), ("foreach", foreach))])

    def two_workers(self):
        """Two ranks beside each other, each on a core: seconds of a step against one rank's, and against two ranks that know
        nothing of each other: what the machine itself loses when both its cores work."""
        file, one, two, strangers, exposed = self.start_file("swin_unetr", 32), [], [], [], []
        for _ in range(self.repeats):
            words = ("--start", file, "--crop", 32, "--steps", STEPS[32])
            alone, both = self.ours(*words), self.ours(*words, ranks=2)
            strangers.append(self.side_by_side(*words))
            one.append(statistics.median(alone["parts"]["step"]["wall"]))
            two.append(statistics.median(both["parts"]["step"]["wall"]))
            exposed.append(statistics.median(a / b for a, b in zip(both["parts"]["allreduce_exposed"]["wall"], both["parts"]["step"]["wall"])))
        scaling = self.row("step", "weak_scaling_2", two, one, "s", goal=GOALS["weak_scaling_2"], better="less",
                           note="wall time; the peer is one rank; needs idle cores")
        beside = self.row("step", "scaling_2_vs_strangers", two, strangers, "s", better="less", note="wall time; the peer: two runs of one rank at the same time")
        share = self.row("step", "exposed_allreduce", exposed, unit="of a step", note="two ranks; goal: at most 0.03")
        share.update(goal=GOALS["exposed_allreduce"], met=share["ours"] <= GOALS["exposed_allreduce"])
        return self.note([scaling, beside, share])

    def side_by_side(self, *words):
        runs = [subprocess.Popen(["taskset", "-c", str(core), str(self.program), *map(str, words)], env=self.environment, stdout=subprocess.PIPE)
                for core in range(2)]
        told = [json.loads(run.communicate()[0]) for run in runs]
        return max(statistics.median(one["parts"]["step"]["wall"]) for one in told)

    def start(self):
        """Two workers up to the first all-reduce, programs' start included."""
        ours, peer = [], []
        for _ in range(self.repeats):
            for command, times in (([*mpirun(2), self.program, "--first-allreduce", "true"], ours),
                                   ([sys.executable, HERE / "step" / "peer_first_allreduce.py"], peer)):
                start = time.monotonic()
                self.run(command, env=self.environment)
                times.append(time.monotonic() - start)
        row = self.row("step", "start_vs_ddp", ours, peer, "s", better="less")
        row.update(goal=GOALS["start_vs_ddp"], met=1 / row["ratio"] <= GOALS["start_vs_ddp"], note="goal: at most 0.3 of the peer")
        return self.note([row])[0]
