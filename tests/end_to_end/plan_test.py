"""homolog plan: every recipe is counted without values, its figures hang together, a probe measures real
steps, and bad questions end with the documented code and say what is wrong.
"""
import json
import pathlib
import sys
import tempfile

from programs import BIN, SOURCE, check, finish, good, run

CONFIGS = SOURCE / "configs"
if not (BIN / "homolog-plan").exists():
    print("SKIPPED: this build has no homolog-plan")
    sys.exit(77)


def planned(*words):
    return json.loads(good("homolog-plan", *words, "--json").stdout)


def refused(name, code, told, *words):
    done = run("homolog-plan", *words)
    check(f"{name}: exit {code}", done.returncode == code, f"exit {done.returncode}: {done.stderr}")
    for word in told:
        check(f"{name}: says {word}", word in done.stderr, done.stderr)


def two_nodes(recipe):
    plan = planned("--config", recipe, "--crop", "64,64,64", "--train-samples", 1000, "--nodes", 2, "--gpus-per-node", 8)
    name = recipe.name
    check(f"{name} is counted without values", plan["work_of_one_pass"]["source"].startswith("counted: "), plan["work_of_one_pass"])
    parts = plan["parameters"]["parts"].values()
    check(f"{name}: the parts sum to all that is trained", sum(parts) == plan["parameters"]["trained"], plan["parameters"])
    memory = plan["memory_bytes"]
    kinds = sum(memory[k] for k in memory if k not in {"total", "offered", "fits"})
    check(f"{name}: kinds of memory sum to the total", abs(kinds - memory["total"]) < 1, memory)
    check(f"{name}: the last row is the plan", plan["scaling"][-1]["workers"] == plan["workers"] == 16, plan["scaling"])
    hours = plan["steps"] * plan["scaling"][-1]["step_s"] / 3600
    check(f"{name}: hours are steps times their time", abs(plan["hours"] / hours - 1) < 1e-6, plan["hours"])


for recipe in sorted(CONFIGS.glob("alice_*.ini")):
    two_nodes(recipe)

small = ["--config", CONFIGS / "alice_small.ini"]
crop = ["--crop", "32,32,32"]
alone = planned(*small, *crop)
check("a batch far below the recipe's is said", any("far below the recipe's 8" in w for w in alone["warnings"]), alone["warnings"])
enough = planned(*small, *crop, "--gpus-per-node", 8)
check("a batch as the recipe's is not", not any("recipe" in w for w in enough["warnings"]), enough["warnings"])

steps = planned(*small, *crop, "--set", "schedule.steps=1000", "--set", "schedule.warmup_epochs=50")["steps"]
check("schedule.steps needs no length of an epoch", steps == 1000, steps)

with tempfile.TemporaryDirectory() as folder:
    store = pathlib.Path(folder) / "store"
    good("make_store", store, 8, 0, 32)
    stored = [*small, "--set", f"data.store={store}"]
    plan = planned(*stored)
    check("a store tells its own bytes", plan["data_bytes_are"] == "the store's" and plan["data_bytes_per_s"] > 0, plan)
    probe = ["--probe", "--probe-steps", 5, "--device", "cpu", "--gpu", "cpu"]
    measured = planned(*stored, *probe)
    check("a probe measures the steps asked for", measured.get("probe", {}).get("steps") == 5, measured)
    check("and replaces the model's time", measured["step_is"] == "measured" and measured["step_s"] == measured["probe"]["step_s"], measured)
    refused("a crop that is not the store's", 2, ["16x32x32", "32x32x32"], *stored, "--crop", "16,32,32")
    refused("a network that the store's crops do not fit", 2, ["32x32x32", "model.vit.patch"], *stored, "--set", "model.backbone=vit", "--set", "model.vit.patch=20")

refused("an unknown GPU", 2, ["did you mean h200?", "a100"], *small, *crop, "--gpu", "h2000")
refused("no nodes", 2, ["nodes"], *small, *crop, "--nodes", 0)
refused("an unknown key", 2, ["data.batches", "data.batch"], *small, *crop, "--set", "data.batches=2")
refused("neither store nor crop", 2, ["data.store", "--crop"], *small)
refused("a store that is not there", 3, ["nowhere"], *small, "--set", "data.store=nowhere")
refused("a probe without a store", 2, ["--probe", "data.store"], *small, *crop, "--probe")
finish()
