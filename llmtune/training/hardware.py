"""What the machine is told before training (threads, and on Linux to keep freed memory), and what it has left."""

import ctypes
import os
import sys
from pathlib import Path

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


def free_memory() -> int | None:
    """Bytes that a further process can take without another being killed for it; None where the system does not say."""
    meminfo, limit, used = (
        Path(name) for name in ("/proc/meminfo", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current")
    )
    if not meminfo.exists():
        return None
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    # A container may have less than its machine.
    if limit.exists() and used.exists() and limit.read_text().strip() != "max":
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return free


def be_killed_first() -> None:
    """On Linux: where memory runs out, the kernel ends this process rather than the one that started it."""
    path = Path("/proc/self/oom_score_adj")
    if path.exists():
        path.write_text("1000")
