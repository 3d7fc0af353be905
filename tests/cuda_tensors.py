"""Tensors and generators of the device that is not there, and what torch may do with them: see `cuda_double`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
RealGenerator = torch.Generator

# Element by element, and a 0-dimensional tensor of the CPU counts as a number (TensorIterator's allow_cpu_scalars).
TAKES_NUMBERS = {
    *("add", "sub", "subtract", "rsub", "mul", "multiply", "div", "divide", "true_divide", "truediv", "pow"),
    *("floor_divide", "floordiv", "remainder", "mod", "fmod", "atan2", "arctan2", "hypot", "copysign", "xlogy"),
    *("eq", "ne", "lt", "le", "gt", "ge", "less", "less_equal", "greater", "greater_equal", "not_equal"),
    *("maximum", "minimum", "fmax", "fmin", "logaddexp", "where", "masked_fill", "fill"),
    *("and", "or", "xor", "logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor"),
    *("_foreach_add", "_foreach_mul", "_foreach_div"),
}
# Numbers and shapes decide what is made, and only `device` where.
FACTORIES = {
    *("tensor", "asarray", "full", "arange", "linspace", "logspace", "empty", "zeros", "ones", "eye"),
    *("rand", "randn", "randint", "randperm"),
}
FREE = {"_group_tensors_by_device_and_dtype", "backward", "__deepcopy__", "__len__"}  # may be given both devices
TO_NUMPY = {"numpy", "__array__", "__dlpack__"}


class CudaTensor(Tensor):
    """A tensor of the device that is not there."""

    __torch_function__ = torch._C._disabled_torch_function_impl


class _AnyGenerator(type(RealGenerator)):
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, RealGenerator)


class Generator(RealGenerator, metaclass=_AnyGenerator):
    """A generator that knows which device it is for; stands for `torch.Generator` inside the double."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        return super().__new__(cls, device="cpu")

    def __init__(self, device: Any = "cpu") -> None:
        self._device = CUDA if is_cuda(device) else CPU

    @property
    def device(self) -> torch.device:
        return self._device

    def set_state(self, new_state: Tensor) -> Generator:
        if isinstance(new_state, CudaTensor):
            raise TypeError("RNG state must be a torch.ByteTensor")
        return super().set_state(new_state)


def is_cuda(place: Any) -> bool:
    """Tell whether a tensor or what `device=` may be is the double's; raises RuntimeError for a second GPU."""
    if place is None or isinstance(place, Tensor):
        return isinstance(place, CudaTensor)
    if not isinstance(place, int):
        place = torch.device(place)
        if place.type != "cuda":
            return False
        place = place.index or 0
    if place:
        raise RuntimeError("CUDA error: invalid device ordinal")
    return True


def found(kind: type, value: Any) -> Iterator[Any]:
    """Yield what is of this kind in arguments or results."""
    if isinstance(value, kind):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from found(kind, item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from found(kind, item)
    elif isinstance(value, slice):
        yield from found(kind, (value.start, value.stop, value.step))


def name_of(func: Callable[..., Any]) -> str:
    """Return the name of a function of torch, or of the attribute that is read or set, e.g. `device.__get__`."""
    name = getattr(func, "__name__", "")
    return f"{func.__self__.__name__}.{name}" if name in ("__get__", "__set__") else name


class Double(TorchFunctionMode):
    """Sees every call of torch: refuses it, or lets it happen on the CPU and marks what comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0  # bytes of the largest tensor so far: a lower bound of what an allocator would tell

    def mark(self, result: Any, given: list[Tensor] | tuple[Tensor, ...] = ()) -> Any:
        """Move new tensors in a result to the device; those that were given stay where they are."""
        known = {id(tensor) for tensor in given}
        for tensor in found(Tensor, result):
            if id(tensor) not in known and not isinstance(tensor, CudaTensor):
                tensor.__class__ = CudaTensor
                self.peak = max(self.peak, tensor.numel() * tensor.element_size())
        return result

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, name = dict(kwargs or {}), name_of(func)
        special = getattr(self, f"on_{name.replace('.__get__', '_of').strip('_')}", None)
        if special is not None:
            return special(func, *args, **kwargs)
        tensors = list(found(Tensor, (args, kwargs)))
        there = any(isinstance(tensor, CudaTensor) for tensor in tensors)
        if name in FACTORIES:
            there = isinstance(args[0], CudaTensor) if args and isinstance(args[0], Tensor) else False
        elif there and name not in FREE:
            self.check(name, tensors, kwargs.get("out"))
        if kwargs.get("device") is not None:
            there = is_cuda(kwargs["device"])
            kwargs["device"] = "cpu"
        for generator in found(RealGenerator, (args, kwargs)):
            if (generator.device.type == "cuda") != there:
                expected = "cuda" if there else "cpu"
                raise RuntimeError(f"Expected a '{expected}' device type for generator but found '{generator.device}'")
        result = func(*args, **kwargs)
        if not there:
            return result
        if name in TO_NUMPY and not kwargs.get("force"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
        if name == "__iter__":
            return iter(self.mark(list(result)))
        return self.mark(result, tensors)

    @staticmethod
    def check(name: str, tensors: list[Tensor], out: Any) -> None:
        """Raise RuntimeError for tensors of both devices, unless those of the CPU count as numbers."""
        here = [tensor for tensor in tensors if not isinstance(tensor, CudaTensor)]
        core = name.strip("_") if not name.startswith("_foreach") else name.rstrip("_")
        dunder = name.startswith("__")
        numbers = core in TAKES_NUMBERS or (dunder and core[:1] in ("i", "r") and core[1:] in TAKES_NUMBERS)
        written = (name.endswith("_") and not dunder) or (dunder and core[:1] == "i" and core[1:] in TAKES_NUMBERS)
        if numbers and all(tensor.ndim == 0 for tensor in here):
            if out is None and not (written and not isinstance(tensors[0], CudaTensor)):
                return
            here = [tensor for tensor in (tensors[0] if written else out,) if not isinstance(tensor, CudaTensor)]
        if here:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but {name} found cuda:0 and cpu {tuple(here[0].shape)}"
            )

    # Where a tensor is

    def on_device_of(self, _func: Any, tensor: Tensor, *_: Any) -> torch.device:
        return CUDA if isinstance(tensor, CudaTensor) else CPU

    def on_is_cuda_of(self, _func: Any, tensor: Tensor, *_: Any) -> bool:
        return isinstance(tensor, CudaTensor)

    def on_is_cpu_of(self, _func: Any, tensor: Tensor, *_: Any) -> bool:
        return not isinstance(tensor, CudaTensor)

    def on_get_device(self, _func: Any, tensor: Tensor) -> int:
        return 0 if isinstance(tensor, CudaTensor) else -1

    # From here to there

    def moved(self, tensor: Tensor, there: bool, changed: Tensor) -> Tensor:
        """Return `changed`, which is the tensor or made of it, over there or here; a copy where it has to move."""
        if there != isinstance(tensor, CudaTensor) and changed is tensor:
            changed = tensor.clone()
        return self.mark(changed, [tensor]) if there else changed

    def on_to(self, _func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        there = isinstance(tensor, CudaTensor)

        def understood(value: Any) -> Any:
            nonlocal there
            if isinstance(value, Tensor | str | torch.device) or type(value) is int:
                there = is_cuda(value)
                return value.dtype if isinstance(value, Tensor) else "cpu"
            return value

        args = [understood(value) for value in args]
        kwargs = {"dtype" if key == "other" else key: understood(value) for key, value in kwargs.items()}
        return self.moved(tensor, there, tensor.to(*args, **kwargs))

    def on_type_as(self, _func: Any, tensor: Tensor, other: Tensor) -> Tensor:
        return self.moved(tensor, isinstance(other, CudaTensor), tensor.to(other.dtype))

    def on_cuda(self, _func: Any, tensor: Tensor, device: Any = "cuda", **_: Any) -> Tensor:
        return self.moved(tensor, is_cuda(device), tensor)

    def on_cpu(self, _func: Any, tensor: Tensor, **_: Any) -> Tensor:
        return self.moved(tensor, False, tensor)

    def on_as_tensor(self, func: Any, data: Any, dtype: Any = None, device: Any = None) -> Tensor:
        if isinstance(data, Tensor):
            there = isinstance(data, CudaTensor) if device is None else is_cuda(device)
            return self.moved(data, there, data.to(dtype or data.dtype))
        result = func(data, dtype=dtype)
        return self.mark(result) if is_cuda(device) else result

    def on_copy(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return func(tensor, *args, **kwargs)

    # Indices: those of the CPU are welcome everywhere, those of the GPU there and, without dimensions, as numbers

    def on_getitem(self, func: Any, tensor: Tensor, index: Any) -> Tensor:
        self.check_index(tensor, index)
        result = func(tensor, index)
        return self.mark(result, [tensor]) if isinstance(tensor, CudaTensor) else result

    def on_setitem(self, func: Any, tensor: Tensor, index: Any, value: Any) -> None:
        self.check_index(tensor, index)
        chosen = any(one.ndim > 0 or one.dtype == torch.bool for one in found(Tensor, index))
        if chosen and isinstance(value, Tensor):  # a slice is copied, which may cross; chosen elements may not
            number = isinstance(tensor, CudaTensor) and value.ndim == 0
            if not number and is_cuda(value) != is_cuda(tensor):
                raise RuntimeError("Expected all tensors to be on the same device: values and the tensor they go to")
        func(tensor, index, value)

    @staticmethod
    def check_index(tensor: Tensor, index: Any) -> None:
        for one in found(CudaTensor, index):
            if not isinstance(tensor, CudaTensor) and (one.ndim or one.dtype == torch.bool):
                raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")

    # Gradients are where their tensor is; a graph may have parts on both

    def on_grad(self, func: Any, outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> tuple[Tensor | None, ...]:
        results = func(outputs, inputs, *args, **kwargs)
        for one, result in zip(found(Tensor, inputs), results, strict=True):
            if isinstance(one, CudaTensor):
                self.mark(result)
        return results

    # Files and copies

    def on_reduce_ex(self, func: Any, tensor: Tensor, protocol: int) -> Any:
        plain = tensor.detach().requires_grad_(tensor.requires_grad) if isinstance(tensor, CudaTensor) else tensor
        return func(plain, protocol)

    def on_deepcopy(self, func: Any, tensor: Tensor, memo: dict[int, Any]) -> Tensor:
        if not isinstance(tensor, CudaTensor):
            return func(tensor, memo)
        if id(tensor) not in memo:
            copy = tensor.detach().clone().requires_grad_(tensor.requires_grad)
            memo[id(tensor)] = self.mark(copy)
        return memo[id(tensor)]
