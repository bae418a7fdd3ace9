#!/usr/bin/env python3
"""Two hosts (network namespaces) with a cable between them: a TCP world spans both, however it met; when the cable is cut, both
sides end within the time limit, each naming whom it cannot reach. Needs root and namespaces, and says so where it is skipped."""
import os
import subprocess
import sys
import time

import worlds
from worlds import World, a_file, check_all, free_port

INSIDE = "HOMOLOG_PARTITION_INSIDE"
APART = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
CABLE = """ip link set lo up
mount -t tmpfs run /run && ip netns add b
ip link add cable type veth peer name end netns b
ip addr add 10.77.0.1/24 dev cable && ip link set cable up
ip -n b link set lo up && ip -n b addr add 10.77.0.2/24 dev end && ip -n b link set end up"""


def enter():
    """Runs this script once more, in namespaces of its own."""
    if os.geteuid() != 0:
        skip(f"namespaces need root, and this is user {os.geteuid()}")
    tried = subprocess.run([*APART, "bash", "-ec", CABLE], capture_output=True, text=True)
    if tried.returncode:
        skip(f"no network namespaces here: {tried.stderr.strip()}")
    sys.exit(subprocess.run([*APART, "bash", "-ec", CABLE + '\nexec "$@"', "-", sys.executable, __file__],
                            env={**os.environ, INSIDE: "1"}).returncode)


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(77)


def two_hosts(rendezvous, *fault, **options):
    """Ranks 0 and 1 here, 2 and 3 on the other host."""
    there = ["ip", "netns", "exec", "b"]
    return World(4, rendezvous, *fault, prefix={2: there, 3: there}, **options)


def only(ends, *ranks):
    return {rank: ends[rank] for rank in ranks}


def claims():
    place = lambda: f"10.77.0.1:{free_port()}"
    check_all("two hosts, met at a port", two_hosts(place(), timeout=20).end(), 0, "done")
    check_all("two hosts, met through a file", two_hosts(a_file(), timeout=20).end(), 0, "done")

    world = two_hosts(place(), "pause", 0, timeout=3)
    time.sleep(2)
    subprocess.run(["ip", "link", "set", "cable", "down"], check=True)
    ends = world.end(within=40)
    check_all("cable cut: this side names the ranks of the other", only(ends, 0, 1), 4, f"(pid ", "rank 2 on host", "rank 3 on host",
              "does not answer")
    check_all("cable cut: the other side names rank 0", only(ends, 2, 3), 4, "rank 0 on host", "does not answer", "the network")

    ends = two_hosts(place(), timeout=2).end()
    check_all("no cable: this side names who did not come", only(ends, 0, 1), 4, "ranks 2, 3 of 4 did not come")
    check_all("no cable: the other side names where rank 0 did not answer", only(ends, 2, 3), 4, "rank 0 did not answer at 10.77.0.1:")


if INSIDE not in os.environ:
    enter()
claims()
print("all claims hold" if not worlds.failures else f"{len(worlds.failures)} claims failed")
sys.exit(bool(worlds.failures))
