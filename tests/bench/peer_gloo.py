"""peer_gloo.py COUNT...: the all-reduce's peer, torch.distributed with gloo between 2 processes on loopback.

Same counts, warm-ups, barriers and medians as bench_allreduce; prints one JSON object: count -> seconds.
"""
import json
import os
import socket
import statistics
import subprocess
import sys
import time

WARM_UPS, TIMED, WORLD = 3, 21, 2


def once(dist, values):
    dist.barrier()
    start = time.perf_counter()
    dist.all_reduce(values, async_op=True).wait()
    return time.perf_counter() - start


def worker(counts):
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    medians = {}
    for count in counts:
        values = torch.ones(count)
        once(dist, values)
        assert values[-1] == WORLD
        values.zero_()
        for _ in range(WARM_UPS):
            once(dist, values)
        medians[count] = statistics.median(once(dist, values) for _ in range(TIMED))
    if dist.get_rank() == 0:
        print(json.dumps(medians))
    dist.destroy_process_group()


def main():
    if "RANK" in os.environ:
        return worker([int(word) for word in sys.argv[1:]])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = dict(os.environ, MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE=str(WORLD),
                  GLOO_SOCKET_IFNAME="lo", OMP_NUM_THREADS="1")
    ranks = [subprocess.Popen([sys.executable, __file__, *sys.argv[1:]], env=dict(common, RANK=str(rank)))
             for rank in range(WORLD)]
    sys.exit(max(abs(rank.wait()) for rank in ranks))


if __name__ == "__main__":
    main()
