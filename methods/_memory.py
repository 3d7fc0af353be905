"""How much memory a method may still take, so that it can say beforehand that it does not fit."""

from __future__ import annotations

import resource

import psutil
import torch

GIB = 2**30


def free_gib(device: torch.device) -> float:
    """Return what is free on the device: on a CPU also less than the process's own limit (RLIMIT_DATA)."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / GIB
    free = psutil.virtual_memory().available
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if limit != resource.RLIM_INFINITY:
        free = min(free, max(0, limit - psutil.Process().memory_info().rss))
    return free / GIB
