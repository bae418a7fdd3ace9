"""The live page in headless Chromium, at desk and phone width, while a run pretends to train.

Claims: the page shows run, state, figures, curves, time bars and ranks; nothing is loaded from elsewhere; no script
error; nothing is wider than a phone; a worker's death shows; HOMOLOG_SCREENSHOTS=DIR keeps the pictures.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

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
        "run's name": rf'<h1 id="run">{run}</h1>', "state": r'id="state"[^>]*data-state="running"', "step": r"<b>120</b>",
        "loss": r'data-label="loss"', "a curve": r"<path [^>]*d=\"M", "held-out dots": r"<circle", "rank bars": r'class="rankbar"',
        "a part": r'title="waiting for data: ', "legend of terms": r"</i>reconstruction", "ranks": r"<tr[^>]*><td>1</td><td>train</td>"}.items():
        assert re.search(pattern, dom), f"the page lacks: {what}"
    outside = [u for u in re.findall(r'(?:src|href)="([^"]+)"', dom) if re.match(r"[a-z]+:|//", u)]
    assert not outside, outside
    assert dom.count('<svg class="chart"') == 7, dom.count('<svg class="chart"')


def check_width(monitor, folder):
    """A page in a frame of phone width may not scroll sideways."""
    probe = os.path.join(folder, "probe.html")
    with open(probe, "w", encoding="utf-8") as out:
        out.write(f'<iframe id="f" width="390" height="2000" src="http://127.0.0.1:{monitor.port}/"></iframe><p id="r"></p>'
                  '<script>setInterval(()=>{const d=document.getElementById("f").contentDocument;if(d)'
                  'document.getElementById("r").textContent="width "+d.documentElement.scrollWidth},500)</script>')
    dom = browse(f"file://{probe}", folder, "--disable-web-security", "--allow-file-access-from-files",
                 "--disable-site-isolation-trials", "--dump-dom")
    found = re.search(r"width (\d+)", dom)
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
            worker.kill()
            for child in monitor.state()["workers"]:
                assert child["rank"] in (0, 1)
        finally:
            monitor.process.kill()
            worker.kill()
        check_after_death(folder)
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


if __name__ == "__main__":
    main()
