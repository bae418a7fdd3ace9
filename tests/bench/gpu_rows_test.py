#!/usr/bin/env python3
"""The bench's rows that need a GPU, without one.

Claims: each says that it was not measured and why, meets nothing, and runs no program. Of told figures in place of programs: the quicker of the
peer's layouts is the peer, a step is won by the ratio of seconds, the host's time by at most its goal, and nothing by losses that lie apart.
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "end_to_end")]

import gpu_rows
from programs import check, finish
from row import row

STEPS = ["host_ms_a_step", "step_vs_eager", "step_vs_compile"]


class Told:
    """In the place of run(): what the programs would print."""

    def __init__(self, ours=0.1, losses=(2.0, 1.0)):
        self.commands, self.ours, self.losses = [], ours, losses

    def __call__(self, command, **_):
        words = [str(word) for word in command]
        self.commands.append(words)
        if words[0].endswith("bench_step"):
            return json.dumps({"parts": {"step": {"wall": [self.ours, self.ours, 9]}}, "losses": self.losses, "host_ms": 0.05, "peak_mib": 1024,
                               "recorded": True})
        seconds = (0.125 if "--compile" in words else 0.2) - (0.01 if "--channels-last" in words else 0)
        return json.dumps({"seconds": seconds, "losses": [2.0, 1.0], "host_ms": 40.0, "peak_mib": 2048})


def rows_of(told, there):
    bench = gpu_rows.GpuRows(HERE, HERE, 2, told, row)
    bench.has_gpu = lambda: there
    return bench.steps() if there else bench.rows()


def main():
    told = Told()
    rows = rows_of(told, False)
    check("every row says why it was not measured", all(row["note"] == "not measured: no GPU" for row in rows), rows)
    check("and claims nothing", all(row["ours"] is row["peer"] is row["ratio"] is row["met"] is None for row in rows), rows)
    check("the rows of a step are among them, with their goals",
          [(row["name"], row["goal"]) for row in rows][-3:] == list(zip(STEPS, (0.1, 1.5, 1.1))), rows)
    check("no program was run", not told.commands, told.commands)

    told = Told()
    rows = {row["name"]: row for row in rows_of(told, True)}
    check("a step is measured against the quicker layout", [rows[name]["peer"] for name in STEPS] == [40.0, 0.19, 0.115], rows)
    check("and won by seconds", rows["step_vs_eager"]["met"] and abs(rows["step_vs_eager"]["ratio"] - 1.9) < 1e-9, rows)
    check("the host's time is at most its goal", rows["host_ms_a_step"]["met"] and rows["host_ms_a_step"]["ours"] == 0.05, rows)
    check("ours and the peers take turns", [words[0].endswith("bench_step") for words in told.commands[4:]]
          == [True, False, False] * 2, told.commands)
    slow = {row["name"]: row for row in rows_of(Told(ours=0.11), True)}
    check("a step that is not quick enough is not met", slow["step_vs_eager"]["met"] and not slow["step_vs_compile"]["met"], slow)
    other = {row["name"]: row for row in rows_of(Told(losses=(2.0, 1.1)), True)}
    check("other work is not met", all(not other[name]["met"] and "NOT THE SAME WORK" in other[name]["note"] for name in STEPS[1:]), other)
    lost = {row["name"]: row for row in rows_of(Told(losses=(2.0, float("nan"))), True)}
    check("nor is what is no number", not lost["step_vs_eager"]["met"], lost)
    finish()


main()
