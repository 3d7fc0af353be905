"""A test double of a GPU: tensors that live in main memory, call themselves cuda:0 and refuse to meet others.

`with cuda_double():` is a machine with one GPU, as far as this project can see: `device="cuda"`, `.to`, `.cuda` and
`.cpu`, generators, autograd, optimizers, `torch.func`, TorchScript, `torch.save` and `torch.load`, and what we call of
`torch.cuda`. What torch refuses on a GPU raises the same kind of error: two devices in one operation, a generator of
the other device, a NumPy array of a tensor over there.

What it cannot tell: kernels that CUDA lacks, its rounding, its random numbers and its memory. It sees what Python
calls, one function of torch at a time; inside of one, everything is on the CPU. It is stricter than CUDA where torch
only looks at a tensor's shape, and `torch.load` needs a `map_location`, for files do not keep the device here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import psutil
import torch
from cuda_tensors import CudaTensor, Double, Generator, is_cuda
from torch import Tensor

REAL = torch.cuda.is_available()


def on_the_device() -> AbstractContextManager[Any]:
    """Return a context in which there is a GPU: the double where there is no real one."""
    return nullcontext() if REAL else cuda_double()


@contextmanager
def cuda_double() -> Iterator[Double]:
    """Pretend to have one GPU."""
    double, whole = Double(), torch.load

    def load(file: Any, map_location: Any = None, **kwargs: Any) -> Any:
        if map_location is None:
            raise RuntimeError("the double's files do not keep the device: give torch.load a map_location")
        content = whole(file, map_location="cpu", **kwargs)
        return double.mark(content) if is_cuda(map_location) else content

    def reset(device: Any = None) -> None:
        double.peak = 0

    memory = psutil.virtual_memory()
    facts = SimpleNamespace(name="a test double", total_memory=memory.total)
    pretended = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "synchronize": lambda device=None: None,
        "get_device_name": lambda device=None: facts.name,
        "get_device_properties": lambda device=None: facts,
        "mem_get_info": lambda device=None: (memory.available, memory.total),
        "max_memory_allocated": lambda device=None: double.peak,
        "reset_peak_memory_stats": reset,
        "set_per_process_memory_fraction": lambda fraction, device=None: None,
    }

    def marked(module: Any, *names: str) -> dict[str, Callable[..., Tensor]]:
        """Return functions of torch.func that pass a tensor through a transform, and now its device as well."""

        def one(func: Callable[..., Tensor]) -> Callable[..., Tensor]:
            def through(tensor: Tensor, *args: Any) -> Tensor:
                result = func(tensor, *args)
                return double.mark(result, [tensor]) if isinstance(tensor, CudaTensor) else result

            return through

        return {name: one(getattr(module, name)) for name in names}

    script = torch.jit.ScriptFunction.__call__

    def scripted(function: torch.jit.ScriptFunction, *args: Any, **kwargs: Any) -> Any:
        return double.__torch_function__(partial(script, function), (), args, kwargs)

    optimizer = import_module("torch.optim.optimizer")
    vmap, grad = (import_module(f"torch._functorch.{name}") for name in ("vmap", "eager_transforms"))
    kinds = [*optimizer._foreach_supported_types, CudaTensor]  # as on a GPU, several parameters in one call
    with (
        patch.multiple(torch.cuda, **pretended),
        patch.multiple(torch, Generator=Generator, load=load),
        patch.object(optimizer, "_foreach_supported_types", kinds),
        patch.object(torch.jit.ScriptFunction, "__call__", scripted),
        patch.multiple(vmap, **marked(vmap, "_add_batch_dim", "_remove_batch_dim")),
        patch.multiple(grad, **marked(grad, "_wrap_for_grad", "_unwrap_for_grad")),
        double,
    ):
        yield double
