"""Tasks in Blender, with it: who renders, and in which order, makes no difference, and failures are rows."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.blender._workers import Pool
from benchmarks.harness.loop import Limits
from benchmarks.harness.registry import method_class, task_class
from benchmarks.harness.runner import run

pytestmark = pytest.mark.blender
NAMES = ("led_display", "wicker", "material")
each = pytest.mark.parametrize("name", NAMES)


@cache
def task(name):
    return task_class(f"blender.{name}")()


def some(name, count):
    """Candidates (count, dim): a start, the target, and what lies anywhere in the box."""
    there = task(name)
    anywhere = torch.rand(count, there.dim, generator=torch.Generator().manual_seed(0))
    z = there.lower + (there.upper - there.lower) * anywhere
    z[0], z[1] = there.start(0), there.reference
    return z


def in_memory():
    return set(Path("/dev/shm").glob("beyond-gd-*"))


@each
def test_pictures_depend_on_no_worker_and_on_no_order(name):
    there, asked = task(name), [task(name).values(z) for z in some(name, 6)]
    alone, two = Pool(there.pool.program), Pool(there.pool.program)
    forwards, backwards = alone.try_all(asked, 1), two.try_all(asked[::-1], 2)[::-1]
    assert two.started == 2
    for one, other in zip(forwards, backwards, strict=True):
        assert (one == other).all()
    assert (forwards[1] == there.goal.numpy()).all(), "the target is rendered by the same Blender"
    assert len({picture.tobytes() for picture in forwards}) == len(forwards)
    alone.end()
    two.end()


@each
def test_pictures_are_finite_radiance_and_the_start_is_not_the_target(name):
    there = task(name)
    picture = there.observe(some(name, 2)[:1], 0)[0]
    assert picture.shape == there.goal.shape
    assert float(picture.min()) >= 0
    assert there.floor() == 0 < float(there.criterion(picture[None]))


def test_the_picture_of_the_displays_is_the_sum_of_what_their_segments_shine():
    there = task("led_display")
    dark = there.pool.render(np.zeros(there.dim))
    bits = (np.random.default_rng(0).random((2, there.dim)) < 0.1) * 1.0
    bits[1] *= 1 - bits[0]
    one, other, both = (there.pool.render(values) for values in (*bits, bits.sum(0)))
    assert np.abs(one + other - dark - both).max() < 1e-6 < np.abs(both - one).max()


def test_single_flips_find_the_displays_in_one_pass():
    there, kind = task("led_display"), method_class("single_flips")
    result = run(there, kind, {}, Limits(337, 3000), task="led", label="single_flips", replicate=0)
    assert result.status == "finished", result.reason
    assert result.row["loss_final"] < 1e-3 * result.row["loss_start"]
    assert there.validate(result.incumbent)["wrong_discrete"] < 0.01


def test_a_hang_and_a_death_cost_one_evaluation_each():
    there = task("wicker")
    values = there.values(there.reference)
    hurried = Pool(replace(there.pool.program, timeout=0.001))
    assert hurried.try_all([values], 1) == ["timeout: there was no picture within 0.001 s"]
    pool = Pool(there.pool.program)
    assert (pool.render(values) == there.goal.numpy()).all()
    worker = pool.idle.get_nowait()
    worker.process.kill()
    pool.idle.put(worker)
    assert pool.try_all([values], 1)[0].startswith("crashed: the worker's end: died of SIGKILL")
    assert (pool.render(values) == there.goal.numpy()).all()
    pool.end()


def test_a_worker_that_is_killed_leaves_no_file(tmp_path):
    there = task("wicker")
    program, before = there.pool.program, in_memory()
    pool = Pool(replace(program, environment={**program.environment, "TMPDIR": str(tmp_path)}))
    assert (pool.render(there.values(there.reference)) == there.goal.numpy()).all()
    worker = pool.idle.get_nowait()
    worker.process.kill()
    worker.end()
    assert not list(tmp_path.iterdir())
    assert in_memory() <= before


def test_a_scene_that_raises_is_told_in_its_own_words():
    there = task("wicker")
    (told,) = there.pool.try_all([np.ones(3)], 1)
    assert told.startswith("crashed: IndexError: index 6 is out of bounds")


def test_counts_that_are_wrong_are_told_apart():
    there = task("wicker")
    z = there.reference.clone()
    z[there.named[0].first] += 2 * there.discrete[0].step
    z[there.named[1].first] -= there.discrete[1].step
    decoded = there.decoded(z)
    assert [decoded[f"{name}_too_many"] for name in ("stakes", "rows", "weave")] == [2, -1, 0]
    assert there.validate(z)["wrong_discrete"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(("name", "unmoved"), [("wicker", 3), ("material", 4)])
def test_small_steps_change_the_picture_but_for_discrete_coordinates(name, unmoved):
    """The certificate: a quarter of a natural step along a continuous coordinate is seen, at start and target."""
    there = task(name)
    discrete = {at for value in there.discrete for at in range(there.dim)[value.coordinates]}
    assert len(discrete) == unmoved
    for z in some(name, 2):
        here = there.observe(z[None], 0)
        for at in sorted(set(range(there.dim)) - discrete):
            step = torch.zeros(there.dim)
            step[at] = 0.25
            assert not torch.equal(there.observe(there.space(0, 1).project(z + step)[None], 0), here), at
