"""The commands of `homolog store` as a user types them, on made-up stores.

Claims: each has its own help, reports as JSON, and answers a newcomer's mistake with its exit code and a remedy; a stop ends with 75, output
that cannot be written with 4; `stage` survives kill -9 in the middle of a copy, and goes on; nothing is left under a final name that is
not whole.
"""
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import programs
from programs import BIN, check, finish, good

COMMANDS = ["inspect", "verify", "stats", "preview", "bench", "stage"]
work = pathlib.Path(tempfile.mkdtemp(prefix="homolog-store-commands-"))
store = work / "store"


def homolog(*words, **options):
    return programs.run("homolog", "store", *words, timeout=300, cwd=work, **options)


def refused(name, done, code, *fragments):
    missing = [f for f in fragments if f.lower() not in done.stderr.lower()]
    check(f"{name}: exit {done.returncode}", done.returncode == code and not missing, f"expected {code}, missing {missing}, said {done.stderr[-600:]}")


def helps():
    text = homolog("--help").stdout
    check("store --help lists every command", all(f"  {c} " in text for c in COMMANDS), text)
    for command in COMMANDS:
        done = homolog(command, "--help")
        check(f"store {command} --help", done.returncode == 0 and f"usage: homolog store {command} STORE" in done.stdout, done.stdout[:300])
    check("options belong to their command", "--pairs" not in homolog("stage", "--help").stdout)


def reports():
    inspect = json.loads(homolog("inspect", store, "--json").stdout)
    check("inspect --json", inspect["splits"]["train"]["pairs"] == 40 and inspect["version"] == 2, inspect)
    check("verify --json", json.loads(homolog("verify", store, "--json").stdout)["whole"])
    stats = json.loads(homolog("stats", store, "--json").stdout)
    check("stats --json", stats["splits"]["train"]["pairs"] == 40 and stats["landmarks"] == {"count": 44, "by_studies": {"2": 44}}, stats)
    check("stats as text", "seen in 2 studies" in homolog("stats", store).stdout)
    rows = [json.loads(line) for line in homolog("bench", store, "--threads", "1", "--seconds", "0.2", "--cold", "--json").stdout.splitlines()]
    keys = ["part", "name", "ours", "peer", "ratio", "spread", "goal", "met", "unit", "note"]
    check("bench --json writes the rows of ./run bench", len(rows) == 3 and all(list(row) == keys for row in rows), rows)


def previews():
    png, html = work / "pairs.png", work / "pairs.html"
    good("homolog", "store", "preview", store, "--out", png, "--pairs", 5)
    data = png.read_bytes()
    wide, high = struct.unpack(">II", data[16:24])
    check("preview PNG", data.startswith(b"\x89PNG") and wide > 1300 and high > 5 * 220, (wide, high))
    told = json.loads(good("homolog", "store", "preview", store, "--out", html, "--split", "validation", "--pairs", 4, "--json").stdout)
    check("preview HTML", told["pairs"] == 4 and html.read_text().count("<figure>") == 4, told)
    again = work / "again.png"
    good("homolog", "store", "preview", store, "--out", again, "--pairs", 5)
    check("the same seed, the same picture", again.read_bytes() == data)
    capitals = work / "PAIRS.PNG"
    good("homolog", "store", "preview", store, "--out", capitals, "--pairs", 5)
    check("an ending in capitals", capitals.read_bytes() == data)
    few = json.loads(good("homolog", "store", "preview", store, "--out", html, "--split", "validation", "--json").stdout)
    check("without --pairs, all that there are", few["pairs"] == 4, few)


def mistakes():
    refused("unknown command", homolog("stat", store), 2, "stats", "fix:")
    refused("store before command", homolog(store, "verify"), 2, "command first")
    refused("no store", homolog("stats"), 2, "no store", "fix:")
    refused("two stores", homolog("stats", store, store), 2, "2 words", "fix:")
    for command in ("inspect", "verify", "stats", "bench"):
        refused(f"{command} of no folder", homolog(command, work / "nowhere"), 3, "nowhere", "fix:")
    refused("a file for a store", homolog("inspect", store / "store.json"), 3, "is a file", "fix:")
    (work / "empty").mkdir()
    refused("a folder that is no store", homolog("stats", work / "empty"), 3, "no finished store", "fix:")
    unfinished = work / "unfinished"
    shutil.copytree(store, unfinished)
    (unfinished / "store.json").unlink()
    refused("an unfinished store", homolog("preview", unfinished, "--out", work / "x.png"), 3, "no finished store", "fix:")
    refused("another ending", homolog("preview", store, "--out", work / "x.jpg"), 2, ".png", "fix:")
    refused("out in no folder", homolog("preview", store, "--out", work / "no" / "x.png"), 4, "no folder", "fix:")
    refused("out is a folder", homolog("preview", store, "--out", work / "empty"), 2, "fix:")
    refused("no --out", homolog("preview", store), 2, "out")
    refused("more pairs than there are", homolog("preview", store, "--out", work / "x.png", "--pairs", 50), 2, "holds 40", "--pairs 40")
    refused("too many for one PNG", homolog("preview", store, "--out", work / "x.png", "--pairs", 100), 2, "64", ".html")
    refused("no such split", homolog("preview", store, "--out", work / "x.png", "--split", "test"), 2, "train", "validation")
    bare = work / "bare"
    good("make_store", bare, 4, 0)
    refused("preview of a split without pairs", homolog("preview", bare, "--out", work / "x.png", "--split", "validation"), 2, "no pairs", "fix:")
    refused("bench of a split without pairs", homolog("bench", bare, "--split", "validation"), 2, "no pairs", "fix:")
    refused("a limit that is no size", homolog("stage", store, "--to", work / "node", "--limit", "lots"), 2, "--limit", "200GiB")
    refused("nothing fits", homolog("stage", store, "--to", work / "node", "--limit", "10KiB"), 4, "no shard fits", "fix:")
    (work / "file").write_text("")
    refused("stage into a file", homolog("stage", store, "--to", work / "file"), 4, "--to", "fix:")
    check("no picture of a refused preview", not (work / "x.png").exists())


def endings():
    """What a script sees of a command that could not do its work, or was told to stop."""
    refused("no command", homolog(), 2, "no command is named", "usage: homolog store COMMAND", "inspect")
    with open("/dev/full", "w") as full:
        for words in (["inspect", store], ["stats", store, "--json"], ["verify", store], ["--help"]):
            done = subprocess.run([BIN / "homolog-store", *words], stdout=full, stderr=subprocess.PIPE, text=True)
            refused(f"{words[0]} to a full disk", done, 4, "cannot write the output", "no space left", "fix:")
    large = work / "large"
    good("make_store", large, 2000, 0)
    for words in (["verify", large], ["stats", large, "--sample", "4000"], ["preview", large, "--pairs", "500", "--out", work / "stopped.html"],
                  ["bench", large, "--seconds", "100"]):
        process = subprocess.Popen([BIN / "homolog-store", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not listens(process.pid):
            time.sleep(0.0005)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=120)[1]
        check(f"{words[0]} ends a stop with 75", process.returncode == 75 and "stopped on request" in said, (process.returncode, said[-600:]))
    check("a stopped preview leaves nothing", not list(work.glob("stopped*")) and not list(work.glob("*.tmp-*")))


def listens(pid):
    """Does the process catch SIGTERM by now?"""
    try:
        caught = [line.split()[1] for line in open(f"/proc/{pid}/status") if line.startswith("SigCgt")]
    except OSError:
        return False
    return bool(caught) and bool(int(caught[0], 16) & 1 << (signal.SIGTERM - 1))


def is_whole(folder, shards):
    return all((folder / s["file"]).stat().st_size == s["bytes"] and (folder / s["file"]).read_bytes() == (store / s["file"]).read_bytes()
               for s in shards if (folder / s["file"]).exists())


def kill_in_mid_copy():
    """Whatever the instant: what lies under a shard's name is whole, and the next run ends the work."""
    manifest = json.loads((store / "store.json").read_text())
    folder = work / "killed" / manifest["hash"]
    caught = 0
    for attempt in range(40):
        shutil.rmtree(work / "killed", ignore_errors=True)
        process = subprocess.Popen([BIN / "homolog", "store", "stage", store, "--to", work / "killed", "--threads", "2"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, PATH=f"{BIN}:{os.environ['PATH']}"))
        while process.poll() is None and not list(folder.glob("*.tmp-*")):
            time.sleep(0.0005)
        time.sleep(0.002 * attempt)
        process.send_signal(signal.SIGKILL)
        process.wait()
        half, done = list(folder.glob("*.tmp-*")), list(folder.glob("shard-?????.h5"))
        if not is_whole(folder, manifest["shards"]):
            check("a killed stage leaves whole shards alone", False, [str(f) for f in done])
            return
        caught += bool(half)
        if caught == 5:
            break
    check("kill -9 met copies that were half done", caught >= 3, caught)
    result = json.loads(good("homolog", "store", "stage", store, "--to", work / "killed", "--json").stdout)
    check("the next run goes on", result["staged"] == 11 and result["kept"] == len(done), result)
    check("no leftovers", sorted(p.name for p in folder.iterdir()) == ["lock"] + sorted(s["file"] for s in manifest["shards"]))
    check("every copy is whole", is_whole(folder, manifest["shards"]))


def two_at_once():
    words = [BIN / "homolog", "store", "stage", store, "--to", work / "both", "--json"]
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(2)]
    results = [json.loads(p.communicate(timeout=120)[0]) for p in both]
    check("two at once: each shard is copied once", sum(r["copied"] for r in results) == 11 and all(r["staged"] == 11 for r in results), results)


try:
    good("make_store", store, 40, 4)
    for step in (helps, reports, previews, mistakes, endings, kill_in_mid_copy, two_at_once):
        step()
finally:
    shutil.rmtree(work, ignore_errors=True)
finish()
