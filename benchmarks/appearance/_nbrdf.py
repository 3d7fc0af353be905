"""NBRDF: a BRDF as a network 6-21-21-3 of 675 weights, many materials at once; and the MERL materials in this form."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks._data import fetch
from benchmarks.appearance._members import names_of
from benchmarks.contract.errors import UsageError

SIZES = (6, 21, 21, 3)
SHAPES = tuple(zip(SIZES[:-1], SIZES[1:], strict=True))  # (in, out)
N_WEIGHTS = sum((fan_in + 1) * out for fan_in, out in SHAPES)
HEAD = (SIZES[-2] + 1) * SIZES[-1]  # weights of the last layer, which stand last
START = 0.05  # weights begin uniform in ±START, biases at zero
LARGEST = 30.0  # of the exponent: 1e13 per sr; a diverged network stays finite


def exponent(weights: Tensor, vectors: Tensor) -> Tensor:
    """Return log(1 + f), (tasks, n, 3), of flat weights (tasks, 675) at half and difference vectors (tasks, n, 6).

    Every layer is one batched matrix product over (tasks, in, out) weights, with ReLU between.
    """
    activity, begin = vectors, 0
    for layer, (fan_in, out) in enumerate(SHAPES):
        weight = weights[:, begin : begin + fan_in * out].view(-1, fan_in, out)
        begin += fan_in * out
        bias = weights[:, begin : begin + out].unsqueeze(1)
        begin += out
        activity = torch.baddbmm(bias, activity, weight)
        if layer < len(SHAPES) - 1:
            activity = activity.relu()
    return activity.clamp_max(LARGEST)


def evaluate(weights: Tensor, vectors: Tensor) -> Tensor:
    """Return the BRDFs (tasks, n, 3) in 1/sr: exp(·) − 1 (Sztrajman et al. 2021). They may be negative."""
    return torch.expm1(exponent(weights, vectors))


def initial(count: int, generator: torch.Generator) -> Tensor:
    """Return so many random initialisations (count, 675): weights uniform in ±.05, biases zero, as published."""
    is_bias = torch.cat([torch.arange((fan_in + 1) * out) >= fan_in * out for fan_in, out in SHAPES])
    return ((2 * torch.rand(count, N_WEIGHTS, generator=generator) - 1) * START).masked_fill(is_bias, 0)


def read_archive(path: Path) -> tuple[list[str], Tensor]:
    """Return names and weights (n, 675) of the networks in a zip of Keras `.h5` files, sorted by name.

    Raises:
        UsageError: for a file that is no such archive, or holds a network of another shape.
    """
    try:
        import h5py
    except ImportError as error:
        raise UsageError("reading measured BRDFs takes h5py: `pip install h5py`") from error
    try:
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if name.endswith(".h5")]
            names = names_of([Path(name) for name in found], str(path))
            files = {name: archive.read(file) for name, file in zip(names, found, strict=True)}
    except (UsageError, MemoryError):
        raise
    except Exception as error:  # zipfile and zlib raise many kinds
        raise UsageError(f"{path}: cannot be read as a zip archive ({error}); fetch it anew") from error
    if not files:
        raise UsageError(f"{path}: holds no .h5 file")
    weights = []
    for name in sorted(files):
        try:
            with h5py.File(io.BytesIO(files[name])) as file:
                layers = [file[f"dense_{number}/dense_{number}"] for number in (1, 2, 3)]
                arrays = [layer[part][()] for layer in layers for part in ("kernel:0", "bias:0")]
        except MemoryError:
            raise
        except Exception as error:  # h5py raises many kinds
            raise UsageError(f"{path}: {name}.h5 is damaged or no NBRDF network ({error})") from error
        expected = [shape for fan_in, out in SHAPES for shape in ((fan_in, out), (out,))]
        if [array.shape for array in arrays] != expected:
            raise UsageError(f"{path}: {name}.h5 is not a network of {'-'.join(map(str, SIZES))} units")
        if not all(np.issubdtype(array.dtype, np.floating) and np.isfinite(array).all() for array in arrays):
            raise UsageError(f"{path}: {name}.h5 holds weights that are not finite numbers; fetch the archive anew")
        weights.append(torch.cat([torch.as_tensor(array).flatten() for array in arrays]))
    return sorted(files), torch.stack(weights).float()


def measured(name: str) -> tuple[list[str], Tensor]:
    """Return names and weights (n, 675) of a set of measured materials as networks, all fitted by Sztrajman et al.

    `merl`: 100 (Matusik et al. 2003); `rgl-isotropic`: 51 (Dupuy & Jakob 2018); `nielsen`: 8 (Nielsen et al. 2015).
    """
    return read_archive(fetch(f"{name}_nbrdf.zip"))
