"""Two workers of PyTorch's gloo up to their first all-reduce, as torch.multiprocessing starts them."""
import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def work(rank):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29633")
    dist.init_process_group("gloo", rank=rank, world_size=2)
    one = torch.ones(1)
    dist.all_reduce(one)
    assert one.item() == 2
    dist.destroy_process_group()


if __name__ == "__main__":
    mp.spawn(work, nprocs=2)
