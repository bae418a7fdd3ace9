#!/usr/bin/env python3
"""homolog bench on this machine: each command measures, its JSON holds together, and nothing stays behind.

Claims: bus bandwidth is 2 (n - 1) / n of the algorithm's; a world of one is refused; the update moves 44 bytes a parameter; the parts of
a step sum to the step; two ranks take twice the pairs a step; a step needs no store and leaves no folder; wrong words are refused.
"""
import json
import pathlib
import tempfile

from programs import SOURCE, check, finish, run

CONFIG = SOURCE / "configs" / "alice_small.ini"


def measured(*words, **options):
    done = run("homolog-bench", *words, "--json", **options)
    if done.returncode:
        return {"failed": done.stdout[-2000:] + done.stderr[-2000:]}
    return json.loads(done.stdout)


def leftovers():
    return sorted(pathlib.Path(tempfile.gettempdir()).glob("homolog-bench-*"))


def main():
    before = leftovers()
    report = measured("allreduce", "--workers", "2", "--sizes", "4KiB,1MiB", "--rounds", "5")
    rows = report.get("rows", [])
    check("allreduce gives a row a size", [row["bytes"] for row in rows] == [4096, 1 << 20] and report["world"] == 2, report)
    check("bus bandwidth of two ranks is the algorithm's", all(abs(row["bus_gb_s"] / row["algorithm_gb_s"] - 1) < 1e-9 for row in rows), rows)
    four = measured("allreduce", "--workers", "4", "--sizes", "64KiB", "--rounds", "3").get("rows", [])
    check("of four it is 1.5 times that", len(four) == 1 and abs(four[0]["bus_gb_s"] / four[0]["algorithm_gb_s"] - 1.5) < 1e-9, four)
    alone = run("homolog-bench", "allreduce")
    check("a world of one is refused", alone.returncode == 2 and "--workers 2" in alone.stderr, alone.stderr)

    update = measured("update", "--parameters", "2e6", "--threads", "1", "--rounds", "5")
    moved = update.get("gb_s", 0) * update.get("seconds", 0) * 1e9
    check("the update moves 44 bytes a parameter", abs(moved / (44 * update.get("parameters", 1)) - 1) < 1e-6, update)
    check("of about as many parameters as asked", abs(update.get("parameters", 0) / 2e6 - 1) < 0.1, update)
    check("on as many threads as asked", update.get("threads") == 1, update)

    tiny = ("step", "--config", CONFIG, "--crop", "32,32,32", "--steps", "3", "--warm-up", "1", "--device", "cpu", "--set", "data.batch=1")
    one = measured(*tiny)
    check("a step is measured without a store", one.get("steps") == 3 and one.get("pairs_per_s", 0) > 0, one)
    parts = sum(one.get("mean_parts", {}).values())
    check("its parts sum to a step", 0.5 * one.get("lower_quartile", 1) < parts < 2 * one.get("upper_quartile", 0), one)
    two = measured(*tiny, "--workers", "2")
    check("two ranks take twice the pairs", two.get("pairs_a_step") == 2 * one.get("pairs_a_step", 0) and two.get("world") == 2, two)
    check("the lines for people say as much", "pairs/s" in run("homolog-bench", *tiny).stdout)
    check("no folder stays", leftovers() == before, leftovers())

    check("an unknown command names the nearest", "allreduce" in run("homolog-bench", "alreduce").stderr)
    wrong = run("homolog-bench", "step", "--crop", "32,32")
    check("a crop of two sides is refused", wrong.returncode == 2 and "three sides" in wrong.stderr, wrong.stderr)
    finish()


main()
