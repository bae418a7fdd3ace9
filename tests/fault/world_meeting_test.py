#!/usr/bin/env python3
"""How a world without MPI forms, and does not: ranks that are missing, twice there, of another world or another size, strangers at
the port, files of earlier jobs. Each is named within the time limit, by who can know; what does not belong does no harm."""
import json
import os
import socket
import subprocess
import sys
import time

import worlds
from worlds import World, a_file, a_port, check, check_all, told

PLACES = {"port": a_port, "file": a_file}


def missing():
    for kind, place in PLACES.items():
        ends = World(4, place(), timeout=2, absent=(2,)).end()
        check_all(f"{kind}: all name the rank that did not come", ends, 4, "rank 2 of 4 did not come", "within 2 s")
    ends = World(3, a_port(), timeout=2, absent=(0,)).end()
    check_all("port: without rank 0 all say so", ends, 4, "rank 0 did not answer at 127.0.0.1:", "Connection refused")
    ends = World(3, a_file(), timeout=2, absent=(0,)).end()
    check_all("file: without rank 0 all say so", ends, 4, "rank 0 did not answer at the file", "no such file")


def sizes():
    for kind, place in PLACES.items():
        ends = World(3, place(), timeout=20, sizes={2: 4}).end()
        check_all(f"{kind}: a rank of a world of another size is named", ends, 2,
                  "rank 2 on host", "world of 4", "one of 3")
    ends = World(2, a_port(), sizes={1: 1}, absent=(0,)).end()
    check_all("a rank outside its world is refused", ends, 4, "HOMOLOG_RANK = 1 is no rank of a world of 1")


def second_runs():
    for kind, place in PLACES.items():
        where = place()
        first = World(3, where, timeout=20, absent=(2,))
        time.sleep(1)
        second = World(3, where, timeout=20, absent=(2,)).end(within=10)
        check_all(f"{kind}: a second run at once is refused", second, 4)
        check(f"{kind}: its rank 0 names the first", f"(pid {first.ranks[0].pid})" in second[0].text and
              "is in use" in second[0].text and "a second rank 0" in second[0].text, told(second))
        check(f"{kind}: its rank 1 is told who came before", f"rank 1 on host" in second[1].text and
              f"comes after" in second[1].text, told(second))
        late = World(3, where, timeout=20, absent=(0, 1))
        check_all(f"{kind}: the first run goes on", first.end(), 0, "done")
        check_all(f"{kind}: and its last rank with it", late.end(), 0, "done")
        check_all(f"{kind}: the place is free for the next run", World(2, where).end(), 0, "done")


def other_worlds():
    where = a_port()
    first = World(2, where, timeout=20, absent=(1,), variables={"HOMOLOG_WORLD_ID": "a"})
    time.sleep(0.5)
    other = World(2, where, timeout=20, absent=(0,), variables={"HOMOLOG_WORLD_ID": "b"}).end()
    check_all("a rank of another world is refused by its name", other, 4, "is of the world 'b', not of 'a'")
    own = World(2, where, timeout=20, absent=(0,), variables={"HOMOLOG_WORLD_ID": "a"})
    check_all("and the world that it came to forms all the same", {**first.end(), 1: own.end()[1]}, 0, "done")


def strangers():
    where = a_port()
    first = World(2, where, timeout=30, absent=(1,))
    port, spoken = int(where.rsplit(":")[1]), []
    for words in (b"GET / HTTP/1.1\r\n\r\n", b"", b"\0" * 4096, b"HOMOLOGw\2\0\0\0\4\0\0\0null", b"HOMOLOGw\1\0\0\0\xff\xff\xff\xff",
                  b"HOMOLOGw\1\0\0\0\4\0\0\0null", b"HOMOLOGw\1\0\0\0\2\0\0\0{}"):
        for _ in range(50):
            try:
                spoken.append(socket.create_connection(("127.0.0.1", port), timeout=5))
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        spoken[-1].sendall(words)
    gone = socket.create_connection(("127.0.0.1", port))
    gone.close()
    time.sleep(0.5)
    late = World(2, where, timeout=30, absent=(0,))
    ends = {**first.end(), 1: late.end()[1]}
    check_all("strangers at the port do no harm", ends, 0, "done")
    for said in ("it began with 'GET / HTTP/1.1..", "another version of homolog: protocol 2", "too long", "cannot be read",
                 "lacks a field", "without a word"):
        check(f"a stranger is told of: {said}", said in ends[0].text, told(ends))


def stale_files():
    where = a_file()
    killed = World(3, where, timeout=60, absent=(1, 2))
    while not os.path.exists(where):
        time.sleep(0.05)
    check("the meeting file is its user's alone", os.stat(where).st_mode & 0o777 == 0o600, oct(os.stat(where).st_mode))
    killed.end(forget=(0,))
    check("a killed rank 0 leaves its file", os.path.exists(where))
    ends = World(2, where, timeout=2, absent=(0,)).end()
    check_all("a stale file: without rank 0 it is named", ends, 4, f"(pid {killed.ranks[0].pid})", "does not answer",
              "an earlier job left the file")
    early = World(2, where, timeout=20, absent=(0,))
    time.sleep(0.5)
    ends = {0: World(2, where, timeout=20, absent=(1,)).end()[0], 1: early.end()[1]}
    check_all("a stale file: rank 0 replaces it, also under the eyes of rank 1", ends, 0, "done")
    check("it says so", "an earlier job left" in ends[0].text, told(ends))

    meeting = {"format": "homolog meeting 1", "world_id": "SLURM 7.0.0", "host": "n1", "pid": 7, "port": 9,
               "addresses": ["127.0.0.1"], "written": "2026-01-01T00:00:00Z", "key": "k"}
    with open(where, "w") as out:
        json.dump(meeting, out)
    ends = World(2, where, timeout=2, absent=(0,)).end()
    check_all("a file of another job is named", ends, 4, "of the world 'SLURM 7.0.0'", "host n1 (pid 7)")

    for text in ("weights of mine", "{}", ""):
        with open(where, "w") as out:
            out.write(text)
        ends = World(2, where, timeout=2).end()
        check_all(f"a file of something else ({text!r}) is refused", ends, 2, where, "is no meeting file")
        check("and left alone", open(where).read() == text)
    os.unlink(where)
    waiting = World(3, where, timeout=20, absent=(2,))
    time.sleep(1)
    os.unlink(where)
    check_all("a file that is removed while the world forms ends the wait", waiting.end(), 4, "was removed while")
    ends = World(2, "/proc/none/meeting", timeout=2).end()
    check("a file that cannot be written is named", ends[0].code == 4 and "cannot write the meeting file" in ends[0].text, told(ends))


def starters():
    where = a_port()
    host, port = where.split(":")
    ranks = []
    for rank in range(2):
        variables = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank), "MASTER_ADDR": host, "MASTER_PORT": port}
        clean = {k: v for k, v in os.environ.items() if not k.startswith(worlds.FAMILIES)}
        ranks.append(subprocess.Popen([str(worlds.WORKER), "auto", "", "10"], env={**clean, **variables}, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    texts = [rank.communicate(timeout=60)[0] for rank in ranks]
    check("torchrun's variables alone make a world", all("done" in text for text in texts), "\n".join(texts))


for claims in (missing, sizes, second_runs, other_worlds, strangers, stale_files, starters):
    claims()
print("all claims hold" if not worlds.failures else f"{len(worlds.failures)} claims failed")
sys.exit(bool(worlds.failures))
