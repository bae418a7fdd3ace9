"""Worlds of world_worker processes that MPI does not join, for the fault tests beside this file."""
import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import time

WORKER = pathlib.Path(os.environ["HOMOLOG_BIN"]) / "world_worker"
FAMILIES = ("HOMOLOG_", "SLURM_", "OMPI_", "PMIX_", "RANK", "WORLD_SIZE", "MASTER_", "TORCHELASTIC_", "LOCAL_RANK")
failures = []
work = tempfile.TemporaryDirectory(prefix="homolog-worlds-")
_files = iter(range(1000))


def check(claim, good, detail=""):
    print(f"{'ok    ' if good else 'FAILED'} {claim}", flush=True)
    if not good:
        print("    " + detail.replace("\n", "\n    "), flush=True)
        failures.append(claim)


def free_port():
    """Below the ports of outgoing connections, so that no process of the test takes it by chance."""
    for port in range(11000 + os.getpid() * 7 % 3000, 30000):
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


def a_port():
    return f"127.0.0.1:{free_port()}"


def a_file():
    return os.path.join(work.name, f"meeting-{next(_files)}")


class Ended:
    def __init__(self, code, text, seconds, pid):
        self.code, self.text, self.seconds, self.pid = code, text, seconds, pid

    def __str__(self):
        return f"[exit {self.code} after {self.seconds:.1f} s, pid {self.pid}] {self.text.strip()}"


class World:
    """Ranks of a world; those in `absent` do not start."""

    def __init__(self, size, rendezvous, *fault, timeout=5, absent=(), sizes=None, variables=None, prefix=None):
        kind = "file" if "/" in rendezvous else "tcp"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(FAMILIES)}
        self.started = time.monotonic()
        self.ranks = {}
        for rank in range(size):
            if rank in absent:
                continue
            place = {"HOMOLOG_RANK": str(rank), "HOMOLOG_WORLD": str((sizes or {}).get(rank, size))}
            self.ranks[rank] = subprocess.Popen(
                [*(prefix or {}).get(rank, []), str(WORKER), kind, rendezvous, str(timeout), *map(str, fault)],
                env={**clean, **place, **(variables or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def end(self, within=60, forget=(), stuck=()):
        """Ends by rank. A rank that is still there after `within` seconds has hung: code None. `forget`: killed first.
        `stuck`: ranks that will not end by themselves; they are not waited for."""
        for rank in forget:
            self.ranks[rank].kill()
        ends = {}
        while any(rank not in ends for rank in self.ranks if rank not in stuck) and time.monotonic() - self.started < within:
            for rank, process in self.ranks.items():
                if rank not in ends and process.poll() is not None:
                    text = process.stdout.read()
                    ends[rank] = Ended(process.returncode, text, time.monotonic() - self.started, process.pid)
            time.sleep(0.02)
        for rank, process in self.ranks.items():
            if rank not in ends:
                process.kill()
                ends[rank] = Ended(None, process.communicate()[0], time.monotonic() - self.started, process.pid)
        return ends


def told(ends):
    return "\n".join(f"rank {rank}: {end}" for rank, end in sorted(ends.items()))


def check_all(claim, ends, code, *words, but=()):
    """Every rank but those ended with the code, and said all the words."""
    good = all(end.code == code and all(word in end.text for word in words)
               for rank, end in ends.items() if rank not in but)
    check(claim, good, f"expected exit {code}, {words}\n{told(ends)}")
