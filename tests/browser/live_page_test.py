"""The live page in headless Chromium, at desk and phone width, while a run pretends to train.

Claims: the page shows run, state, figures, curves, time bars and ranks; nothing is loaded from elsewhere; no script
error; nothing is wider than a phone; a worker's death, a stopped run and an empty one show; HOMOLOG_SCREENSHOTS=DIR keeps the pictures.
"""
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request

import fake_run
from monitor_test import Monitor, start_run, wait_for

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)


def browse(url, folder, *words, width=1280, height=1600):
    result = subprocess.run(
        [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage",
         f"--user-data-dir={folder}/browser", "--enable-logging=stderr", "--virtual-time-budget=6000",
         f"--window-size={width},{height}", *words, url], capture_output=True, text=True, timeout=120)
    errors = [line for line in result.stderr.splitlines() if "CONSOLE" in line and re.search("Uncaught|Error|Refused", line)]
    assert not errors, errors
    return result.stdout


def check_dom(dom, run):
    for what, pattern in {
        "run's name": rf'<h1 id="run">{run}</h1>', "state": r'id="state"[^>]*data-state="running"', "step": r"<b>120</b>", "checkpoint": r"ago, step 100,",
        "loss": r'data-label="loss"', "a curve": r"<path [^>]*d=\"M", "held-out dots": r"<circle", "rank bars": r'class="rankbar"',
        "a part": r'title="waiting for data: ', "legend of terms": r"</i>reconstruction", "ranks": r"<tr[^>]*><td>1</td><td>train</td>"}.items():
        assert re.search(pattern, dom), f"the page lacks: {what}"
    outside = [u for u in re.findall(r'(?:src|href)="([^"]+)"', dom) if re.match(r"[a-z]+:|//", u)]
    assert not outside, outside
    assert dom.count('<svg class="chart"') == 8, dom.count('<svg class="chart"')
    assert dom.count('class="axis"') == 8 and "</i>acc" not in dom, "each axis has a name, accuracy is no loss term"
    for chart in re.findall(r'<svg class="chart".*?</svg>', dom):
        for axis in "xy":
            texts = re.findall(rf'<text class="{axis}"[^>]*>([^<]*)<', chart)
            assert len(texts) == len(set(texts)) and len(texts) > 1, texts
        assert not [t for t in re.findall(r'<text class="x"[^>]*>([^<]*)<', chart) if "." in t], "half a step"


PROBE = b"""<iframe id="f" width="390" height="2000" src="/"></iframe><p id="r"></p><script>setInterval(() => {
const d = document.getElementById("f").contentDocument;
if (d && d.querySelector("path")) document.getElementById("r").textContent = "width " + d.documentElement.scrollWidth;
}, 300)</script>"""


def check_width(monitor, folder):
    """In a frame of phone width the page may not scroll sideways. The frame needs the page's own origin."""

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body, kind = PROBE, "text/html"
            if self.path == "/favicon.ico":
                self.send_error(404)
                return
            if self.path != "/probe.html":
                with urllib.request.urlopen(f"http://127.0.0.1:{monitor.port}{self.path}") as answer:
                    body, kind = answer.read(), answer.headers["Content-Type"]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    dom = browse(f"http://127.0.0.1:{server.server_port}/probe.html", folder, "--dump-dom")
    server.shutdown()
    found = re.search(r"width (\d+)</p>", dom)
    assert found, "the frame could not be measured"
    assert int(found.group(1)) <= 390, f"{found.group(1)} px wide on a phone of 390"


def main():
    if not CHROMIUM:
        print("SKIPPED: no Chromium; install it with: apt-get install chromium")
        sys.exit(77)
    pictures = os.environ.get("HOMOLOG_SCREENSHOTS")
    with tempfile.TemporaryDirectory(prefix="homolog-page-") as folder:
        run = os.path.join(folder, "alice-phantoms")
        os.makedirs(run)
        worker = start_run(run, steps=120, total=200, sleep=0.002, hold=90, end="train")
        monitor = Monitor(run)
        try:
            wait_for("step 120", lambda: [w["step"] for w in monitor.state()["workers"]] == [120, 120])
            url = f"http://127.0.0.1:{monitor.port}/"
            check_dom(browse(url, folder, "--dump-dom"), "alice-phantoms")
            check_width(monitor, folder)
            for name, width, height in (("desk", 1280, 1720), ("phone", 500, 2900)):
                picture = os.path.join(pictures or folder, f"{name}.png")
                browse(url, folder, f"--screenshot={picture}", width=width, height=height)
                assert os.path.getsize(picture) > 30_000, f"{picture} is nearly empty"
        finally:
            monitor.process.kill()
            worker.kill()
        check_after_death(folder)
        check_after_the_end(folder)
        check_nothing_yet(folder)
    print("ok: the live page")


def check_after_death(folder):
    run = os.path.join(folder, "crashed")
    os.makedirs(run)
    worker = start_run(run, steps=30, total=200, sleep=0.002, hold=60, end="crash")
    monitor = Monitor(run)
    try:
        wait_for("the death", lambda: monitor.state()["state"] == "failed")
        dom = browse(f"http://127.0.0.1:{monitor.port}/", folder, "--dump-dom")
        assert 'data-state="failed"' in dom and "worker 1 died" in dom, "the page hides a dead worker"
        assert re.search(r'<tr class="dead"><td>1</td>', dom)
    finally:
        monitor.process.kill()
        worker.kill()


def check_after_the_end(folder):
    """A run that stopped half way: half a bar, one sentence once, its checkpoint, no empty table, no moving clock."""
    run = os.path.join(folder, "store")
    os.makedirs(run)
    start_run(run, ranks=1, steps=50, total=100, sleep=0).wait()
    os.unlink(fake_run.board_path(run, 0))
    os.utime(os.path.join(run, "metrics.jsonl"), (0, 0))
    for checkpoint in os.scandir(os.path.join(run, "checkpoints")):
        os.unlink(os.path.join(checkpoint, "target.safetensors"))
    monitor = Monitor(run)
    try:
        dom = browse(f"http://127.0.0.1:{monitor.port}/", folder, "--dump-dom")
        assert 'data-state="stopped"' in dom and dom.count("Stopped at step 50 of 100") == 1, "the end, told once"
        assert re.search(r'id="bar" style="width: 50%', dom) and "50 %, " in dom
        assert "<b>step 50</b>" in dom and "none yet" not in dom, "the last checkpoint"
        assert re.search(r'<section[^>]*aria-label="ranks"[^>]*hidden', dom), "no table without rows"
        assert re.search(r'<figure hidden=""><figcaption>Target', dom), "no target, no momentum"
        assert 'title="waiting for data: ' in dom and "No worker runs" not in dom
    finally:
        monitor.process.kill()


def check_nothing_yet(folder):
    run = os.path.join(folder, "empty")
    os.makedirs(run)
    monitor = Monitor(run)
    try:
        dom = browse(f"http://127.0.0.1:{monitor.port}/", folder, "--dump-dom")
        assert 'data-state="waiting"' in dom and "in the log" not in dom
        assert re.search(r'<section[^>]*aria-label="ranks"[^>]*hidden', dom)
    finally:
        monitor.process.kill()


if __name__ == "__main__":
    main()
