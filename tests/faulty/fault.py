"""What a task or a method can do wrong, on demand."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

GIB = 2**30


def commit(fault: str) -> None:
    """Do it."""
    if fault == "raise":
        raise ValueError("something is wrong\nand here is why")
    if fault == "memory_error":
        raise MemoryError
    if fault == "allocate":
        held = [bytearray(GIB) for _ in range(64)]
        raise AssertionError(f"{len(held)} GiB were to be had")
    if fault == "hang":
        while True:
            time.sleep(0.05)
    if fault == "hang_in_c":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGTERM, signal.SIGINT})
        ctypes.CDLL(None).sleep(3600)
    if fault == "segfault":
        ctypes.string_at(0)
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "exit_0":
        os._exit(0)
    if fault == "exit_3":
        os._exit(3)
    if fault == "sys_exit":
        sys.exit("enough")
