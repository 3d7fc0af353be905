"""Memory: what a run needed at its peak, what it may take, and how a lack of it looks."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

import psutil
import torch

MIB = 2**20
LACKS = (  # in errors of no kind of their own: torch's on CPU, CUDA's itself, and cuBLAS', cuDNN's, cuSOLVER's
    *("can't allocate memory", "not enough memory", "std::bad_alloc"),
    *("cuda error: out of memory", "cudaerrormemoryallocation", "status_alloc_failed"),
)


def resident_mib() -> float:
    """Return the memory this process holds now."""
    return psutil.Process().memory_info().rss / MIB


def reset_peak(device: torch.device) -> None:
    """Forget the peaks so far, so that the next reading belongs to the next run."""
    with contextlib.suppress(OSError):  # where there is no such file the peak is the process's, over all its runs
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # Linux: resets VmHWM
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_mib() -> float:
    """Return the process's peak resident memory since `reset_peak`."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def gpu_peak_mib(device: torch.device) -> float:
    """Return the GPU's peak allocation since `reset_peak`, 0 without one."""
    return torch.cuda.max_memory_allocated(device) / MIB if device.type == "cuda" else 0.0


def limit_gib(gib: float, device: torch.device) -> None:
    """Make allocations beyond `gib` fail in this process (main memory on CPU, device memory on a GPU)."""
    if device.type == "cuda":
        total = torch.cuda.get_device_properties(device).total_memory / 2**30
        torch.cuda.set_per_process_memory_fraction(min(1.0, gib / total), device)
    else:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (int(gib * 2**30), hard))


def is_out_of_memory(error: BaseException) -> bool:
    """Tell a lack of memory from other errors: Python's, NumPy's, torch's on CPU and on GPU."""
    text = str(error).lower()
    told = any(words in text for words in LACKS)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and told)
