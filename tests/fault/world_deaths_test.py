#!/usr/bin/env python3
"""A rank of a TCP world dies, stops, hangs or goes its own way: every other rank ends with code 4 within the time limit, and every
log names that same rank; nobody hangs, nobody else is blamed."""
import sys

import worlds
from worlds import World, a_file, a_port, check, check_all, told

PROMPT = 6  # s: noticed at once, with the start of all processes on a busy machine


def deaths():
    for size, rank in ((2, 1), (4, 0), (4, 2), (4, 3)):
        ends = World(size, a_port(), "kill", rank, timeout=60).end()
        check_all(f"rank {rank} of {size} killed: all name it", ends, 4, f"rank {rank} on host ",
                  f"(pid {ends[rank].pid}) is gone", but=(rank,))
        check(f"rank {rank} of {size} killed: noticed at once", max(e.seconds for e in ends.values()) < PROMPT, told(ends))
    ends = World(4, a_file(), "leave", 1, timeout=60).end()
    check_all("a rank that ends by itself is named, also in a world that met through a file", ends, 4,
              f"rank 1 on host ", f"(pid {ends[1].pid}) is gone", but=(1,))


def hangs():
    for rank in (0, 2):
        ends = World(4, a_port(), "stop", rank, timeout=2).end(within=25, stuck=(rank,))
        check_all(f"rank {rank} stopped: the others name it", ends, 4, f"(pid {ends[rank].pid}) does not answer", but=(rank,))
        late = max(e.seconds for r, e in ends.items() if r != rank)
        check(f"rank {rank} stopped: named within the limit and 10 s", late < 2 + 10 + PROMPT, told(ends))
    for rank in (0, 3):
        ends = World(4, a_port(), "hang", rank, timeout=2).end(within=25, stuck=(rank,))
        check_all(f"rank {rank} computes for ever: the others name it", ends, 4,
                  f"(pid {ends[rank].pid}) has not come to 'gradient'" if rank else "(pid ", but=(rank,))
        check(f"rank {rank} computes for ever: by its name",
              all(f"rank {rank} on host" in e.text and str(ends[rank].pid) in e.text for r, e in ends.items() if r != rank),
              told(ends))


def in_the_middle():
    for size, rank in ((2, 0), (4, 2)):
        ends = World(size, a_port(), "kill-within", rank, timeout=60).end()
        check_all(f"rank {rank} of {size} killed within a sum: all name it", ends, 4, f"rank {rank} ", str(ends[rank].pid), but=(rank,))
        check(f"rank {rank} of {size} was killed", ends[rank].code == -9, told(ends))
    ends = World(4, a_port(), "stop-within", 1, timeout=2).end(within=30, stuck=(1,))
    check_all("rank 1 stopped within a sum: the others name it", ends, 4, "rank 1 ", str(ends[1].pid), but=(1,))


def disagreements():
    ends = World(3, a_port(), "other", 1, timeout=5).end()
    check_all("ranks that reduce different things end, saying that they disagree", ends, 4, "disagree about what comes next")


def patience():
    ends = World(3, a_port(), "slow", 2, timeout=60).end()
    check_all("a rank that is slower than the others look is waited for", ends, 0, "done")
    ends = World(24, a_port(), timeout=60).end()
    check_all("24 ranks finish", ends, 0, "done")


for claims in (deaths, hangs, in_the_middle, disagreements, patience):
    claims()
print("all claims hold" if not worlds.failures else f"{len(worlds.failures)} claims failed")
sys.exit(bool(worlds.failures))
