"""What every scene shows at start and target, against stored pictures; replayed renders against plain ones.

The stored pictures are `tests/pictures/<task>_{start,target}.png`, 8-bit sRGB of `problem.image` at the task's default
size (one pair per case where a task has cases). After a change that is meant to change them, write them anew with

    BEYOND_GD_WRITE_PICTURES=1 pytest tests/test_rendering_pictures.py

and look at each one before committing it.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import avg_pool2d

from benchmarks.harness.job import to_bytes
from benchmarks.harness.registry import task_class
from benchmarks.harness.rooms import task_names
from benchmarks.rendering._mitsuba import backend

pytestmark = pytest.mark.llvm

FOLDER = Path(__file__).parent / "pictures"
WRITE = bool(os.environ.get("BEYOND_GD_WRITE_PICTURES"))
TASKS = [name for name in task_names() if name.startswith("rendering.")]
# Mean absolute difference, white is 1. The variants with gradients draw the same random numbers on every machine and
# differ by rounding. scalar_rgb draws others: its pictures are compared by the means of blocks of 4×4 pixels, which
# leaves a quarter of the noise of 64 samples per pixel.
TOLERANCE = {"llvm_ad_rgb": 0.004, "cuda_ad_rgb": 0.004, "scalar_rgb": 0.015}
BLOCK = {"llvm_ad_rgb": 1, "cuda_ad_rgb": 1, "scalar_rgb": 4}
REPLAYS = 12


def scenes():
    """Return (file stem, task, parameters) of every scene, the cases of a task apart."""
    found = []
    for name in TASKS:
        cases = get_args(get_type_hints(task_class(name).setup).get("case"))
        stem = name.removeprefix("rendering.")
        found += [(f"{stem}_{case}", name, {"case": case}) for case in cases] or [(stem, name, {})]
    return found


SCENES = scenes()
every_scene = pytest.mark.parametrize(("stem", "name", "params"), SCENES, ids=[stem for stem, *_ in SCENES])


@cache
def shown(name, case):
    """Return the pictures of start and target as bytes, and the variant that drew them."""
    problem = task_class(name)(**({"case": case} if case else {}))
    return to_bytes(problem.image(problem.start(0))), to_bytes(problem.target_image()), problem.mi.variant()


def difference(one, other, block=1):
    """Return the mean absolute difference of two pictures of bytes, white being 1, after averaging over blocks."""
    change = torch.from_numpy(one.astype(np.float32) - other).movedim(-1, 0)
    return float(avg_pool2d(change[None], block).abs().mean()) / 255


def stored(stem, which):
    file = FOLDER / f"{stem}_{which}.png"
    assert file.is_file(), f"{file.name} is missing: see the head of this file"
    return np.asarray(Image.open(file))


@every_scene
def test_pictures_are_the_stored_ones(stem, name, params):
    start, target, variant = shown(name, params.get("case"))
    if WRITE:
        assert variant != "scalar_rgb", "pictures are written by the variant with gradients"
        FOLDER.mkdir(exist_ok=True)
        Image.fromarray(start).save(FOLDER / f"{stem}_start.png", optimize=True)
        Image.fromarray(target).save(FOLDER / f"{stem}_target.png", optimize=True)
        pytest.skip("written anew")
    for which, picture in (("start", start), ("target", target)):
        expected = stored(stem, which)
        assert picture.shape == expected.shape
        assert difference(picture, expected, BLOCK[variant]) < TOLERANCE[variant]


@pytest.mark.skipif(WRITE, reason="pictures are written anew")
@every_scene
def test_stored_pictures_differ_by_more_than_the_tolerance(stem, name, params):
    start, target = stored(stem, "start"), stored(stem, "target")
    assert difference(start, target) > 2 * TOLERANCE["llvm_ad_rgb"]
    for picture in (start, target):
        assert picture.std() > 0.05 * 255
        assert (picture == 255).all(-1).mean() < 0.25, "overexposed"


def test_every_stored_picture_belongs_to_a_scene():
    wanted = {f"{stem}_{which}.png" for stem, *_ in SCENES for which in ("start", "target")}
    assert {file.name for file in FOLDER.iterdir()} - wanted == set()


@every_scene
def test_replaying_equals_rendering(stem, name, params):
    """Frozen renders follow the geometry whatever else Dr.Jit allocates in between, gradients included."""
    if backend().no_gradient:
        pytest.skip(backend().no_gradient)
    kind = task_class(name)
    if not kind.freeze:
        pytest.skip("renders plainly anyway")
    plain_kind = type(f"Plain{kind.__name__}", (kind,), {"freeze": False, "__module__": kind.__module__})
    frozen, plain = kind(**params), plain_kind(**params)
    generator = torch.Generator().manual_seed(0)
    junk, pictures = [], []
    for number in range(REPLAYS):
        near = frozen.reference if number % 2 else frozen.start(number)
        z = near + torch.randn(frozen.dim, generator=generator)
        z = frozen.space(0, 1).project(z)
        seed, spp = int(torch.randint(2**20, (), generator=generator)), (2, 4)[number // 3 % 2]
        if number == 7:
            frozen._differentiate(frozen.differentiable[0], z[None] + 0.1, 3)
        allocate(frozen.mi, junk, generator)
        frozen._place(z)
        allocate(frozen.mi, junk, generator)
        pictures.append(frozen._picture(spp, seed))
        plain._place(z)
        gap = (pictures[-1] - plain._picture(spp, seed)).abs()
        assert float(gap.max()) == 0, (
            f"render {number} of {REPLAYS}: {int((gap > 0).sum())} values, by up to {gap.max()}"
        )
    assert len({picture.numpy().tobytes() for picture in pictures}) == REPLAYS


def allocate(mi, junk, generator):
    """Allocate arrays of many sizes, from NumPy, from lists and by kernels, and free half of them again."""
    for _ in range(4):
        size = int(torch.randint(1, 5000, (), generator=generator))
        junk += [
            mi.Float(np.random.default_rng(size).random(size, dtype=np.float32)),
            mi.Float([0.5] * size),
            mi.Float(mi.UInt32(range(size))) * 3,
        ]
        junk[-1] += 1
    del junk[::2]
