"""What the machine is told before training: threads, and (on Linux) to keep freed memory."""

import ctypes
import os
import sys

import torch

# glibc's mallopt parameters (malloc.h).
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


def configure_cpu(threads: int | None) -> int:
    """Sets the threads of this process and keeps freed tensors' memory; returns the threads.

    Args:
        threads: None for the allowed cores divided by the processes on this machine. `accelerate launch` without a
            saved configuration sets OMP_NUM_THREADS=1, with which torch would use one core of many.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    threads = threads or max(1, len(os.sched_getaffinity(0)) // processes)
    torch.set_num_threads(threads)
    if sys.platform == "linux":
        # By default glibc gives every tensor above 128 KiB back to the kernel when it is freed, and the next one pays
        # for its pages again.
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
    return threads
