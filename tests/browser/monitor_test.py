"""homolog-monitor and homolog-report as programs, fed by a run that only pretends to train.

Claims: metrics parse (own check, and promtool's where it is installed) and cover what the guide lists; a busy port
ends in exit code 4 and names port and remedy; a worker that dies shows; SIGTERM ends it at once; it ends by itself
after the run; a missing run is exit code 3; the report is written.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import fake_run

HERE = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ["HOMOLOG_BIN"]
SOURCE = os.environ.get("HOMOLOG_SOURCE", os.path.join(HERE, "..", ".."))


def start_run(run, **options):
    words = [sys.executable, os.path.join(HERE, "fake_run.py"), "--run", run]
    for key, value in options.items():
        words += [f"--{key}", str(value)]
    return subprocess.Popen(words)


class Monitor:
    def __init__(self, run, *words):
        self.process = subprocess.Popen([os.path.join(BIN, "homolog-monitor"), "--run", run, "--port", "0", *words],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, f"no address in {line!r}"
        self.port = int(found.group(1))

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def state(self):
        return json.loads(self.get("/data/run.json"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


def wait_for(what, condition, seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s in vain for: {what}")


def check_exposition(text):
    """Every sample belongs to a declared family, values are numbers, no series twice. Returns family names."""
    sample = re.compile(r'^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*\})? ([-+0-9.eE]+|Nan|NaN|[+-]Inf)$')
    types, seen = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name not in types, name
            types[name] = kind
        elif not line.startswith("#"):
            match = sample.match(line)
            assert match, f"no sample: {line!r}"
            assert match.group(1) in types, line
            series = line.rsplit(" ", 1)[0]
            assert series not in seen, series
            seen.add(series)
    return set(types)


def check_metrics(monitor):
    text = monitor.get("/metrics")
    names = check_exposition(text)
    guide = open(os.path.join(SOURCE, "docs/guide/monitoring.md"), encoding="utf-8").read()
    listed = set(re.findall(r"`(homolog_[a-z_]+)", guide.split("## Metrics", 1)[1]))
    assert names <= listed, f"not in the guide: {sorted(names - listed)}"
    assert listed <= names, f"in the guide, not served: {sorted(listed - names)}"
    if shutil.which("promtool"):
        result = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
        assert result.returncode == 0, result.stdout + result.stderr
    else:
        print("NOTE: promtool is not installed; its check of the metrics was SKIPPED (apt-get install prometheus)")
    for path, code in (("/nowhere", 404), ("/../etc/passwd", 404), ("/metrics/x", 404)):
        try:
            monitor.get(path)
            raise AssertionError(f"{path} was served")
        except urllib.error.HTTPError as error:
            assert error.code == code, (path, error.code)


def test_live_run(folder):
    run = os.path.join(folder, "live")
    os.makedirs(run)
    worker = start_run(run, steps=120, total=200, sleep=0.002, hold=120, end="train")
    monitor = Monitor(run)
    try:
        wait_for("both workers at step 120", lambda: [w["step"] for w in monitor.state()["workers"]] == [120, 120])
        state = monitor.state()
        assert state["state"] == "running" and state["progress"]["world"] == 2, state
        wait_for("the curve", lambda: len(json.loads(monitor.get("/data/metrics.json"))["rows"]) == 120)
        check_metrics(monitor)
        busy = subprocess.run([os.path.join(BIN, "homolog-monitor"), "--run", run, "--port", str(monitor.port)],
                              capture_output=True, text=True)
        assert busy.returncode == 4, busy
        assert str(monitor.port) in busy.stderr and "--port" in busy.stderr, busy.stderr
        assert monitor.stop() == 0
    finally:
        monitor.process.kill()
        worker.kill()


def test_dying_worker_and_own_end(folder):
    run = os.path.join(folder, "dying")
    os.makedirs(run)
    monitor = Monitor(run, "--workers", "2", "--linger", "3")
    worker = start_run(run, steps=20, total=200, sleep=0.002, hold=3, end="crash")
    try:
        wait_for("rank 1's death", lambda: monitor.state()["state"] == "failed")
        assert "worker 1 died" in monitor.state()["message"], monitor.state()["message"]
        assert 'homolog_worker_up{rank="1",local_rank="1"} 0' in monitor.get("/metrics")
        assert monitor.process.wait(timeout=60) == 0, "ends by itself"
    finally:
        monitor.process.kill()
        worker.wait()


def test_a_run_that_is_over(folder):
    """The folder alone tells the end: no clock goes on, the checkpoint is there, the epoch is the metric's."""
    run = os.path.join(folder, "over")
    os.makedirs(run)
    start_run(run, ranks=1, steps=50, total=100, sleep=0).wait()
    for board in (f for f in os.listdir("/dev/shm") if "/dev/shm/" + f == fake_run.board_path(run, 0)):
        os.unlink("/dev/shm/" + board)
    os.utime(os.path.join(run, "metrics.jsonl"), (0, 0))
    monitor = Monitor(run)
    try:
        state = monitor.state()
        assert state["state"] == "stopped" and state["message"].startswith("Stopped at step 50 of 100"), state
        assert state["record"]["checkpoint"]["step"] == 50 and state["record"]["has_target"], state["record"]
        assert state["record"]["reached_steps"] == 50 and state["record"]["planned_steps"] == 100, state["record"]
    finally:
        monitor.process.kill()


def test_report(folder):
    run = os.path.join(folder, "report")
    os.makedirs(run)
    start_run(run, ranks=1, steps=100, total=100, sleep=0).wait()
    start_run(run, ranks=1, start=60, steps=40, total=100, sleep=0).wait()  # a resumed run
    program = os.path.join(BIN, "homolog-report")
    result = json.loads(subprocess.run([program, run, "--json"], capture_output=True, text=True, check=True).stdout)
    assert result["last_step"] == 99 and result["steps_made"] == 140 and result["resumed_at"] == [60], result
    assert result["end"]["state"] == "ended" and result["end"]["reached_steps"] == 100, result["end"]
    assert result["loss_last"] < result["loss_first"]
    assert any("data.threads from 1 to 2" in line for line in result["advice"]), result["advice"]
    html = open(result["report"], encoding="utf-8").read()
    assert "<svg" in html and "<script" not in html
    os.unlink(result["report"])
    os.makedirs(os.path.join(result["report"], "in-the-way"))  # as unwritable as a folder of somebody else, also for root
    unwritten = subprocess.run([program, run], capture_output=True, text=True)
    assert unwritten.returncode == 4 and "--out" in unwritten.stderr and "advice" in unwritten.stdout, unwritten
    missing = subprocess.run([program, os.path.join(folder, "nowhere")], capture_output=True, text=True)
    assert missing.returncode == 3 and "fix:" in missing.stderr, missing
    assert subprocess.run([program], capture_output=True).returncode == 2


def main():
    with tempfile.TemporaryDirectory(prefix="homolog-monitor-") as folder:
        for test in (test_live_run, test_dying_worker_and_own_end, test_a_run_that_is_over, test_report):
            test(folder)
            print(f"ok: {test.__name__}")


if __name__ == "__main__":
    main()
