"""Influence: what it learns against the true Jacobian, its parts against dense algebra, and whole runs."""

from __future__ import annotations

import pytest
import torch

from benchmarks.harness import parameters
from benchmarks.harness.loop import Limits
from benchmarks.harness.runner import run
from benchmarks.pixels.texture import Texture
from benchmarks.raster.square import Square
from methods._influence_model import Influence as Model
from methods._influence_model import Span
from methods._influence_pyramid import Pyramid, linear_share, wanted_picture
from methods._influence_sparse import Sparse, screen, screen_by_angle, sparse_fit, union
from methods._steihaug import steihaug
from methods.influence import Influence

ROWS, DIM, PIXELS = 120, 60, 20


def normal(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def truth():
    """Two entries in every row, and one direction of all parameters that all pixels share."""
    jacobian = torch.zeros(PIXELS, DIM, dtype=torch.float64)
    row = torch.arange(PIXELS)
    jacobian[row, row], jacobian[row, row + PIXELS] = 1.0, -2.0
    return jacobian, torch.outer(normal(PIXELS, seed=3), normal(DIM, seed=4))


@pytest.mark.parametrize("search", [True, False])
def test_sparse_part_is_the_true_support_and_least_squares_on_it(search):
    jacobian, shared = truth()
    x = normal(ROWS, DIM)
    y = x @ (jacobian + 2 * shared).T + 0.05 * normal(ROWS, PIXELS, seed=1)
    known = torch.full((PIXELS, 0), -1)
    if not search:
        row = torch.arange(PIXELS)
        known = torch.stack([row, row + PIXELS, row.new_full((PIXELS,), -1)], 1)
    found = sparse_fit(x, y, float(ROWS), known, 0.01, 8, 4.0, search)
    for pixel in range(PIXELS):
        index = found.index[pixel][found.index[pixel] >= 0]
        assert {pixel, pixel + PIXELS} <= set(index.tolist())
    dense = torch.zeros_like(jacobian).scatter_add_(1, found.index.clamp_min(0), found.value)
    false = (dense != 0) & (jacobian == 0)
    assert int(false.sum()) <= 0.02 * false.numel()  # a trace of what is shared is left beside its estimated factor
    assert (dense - jacobian).norm() < 0.2 * jacobian.norm()
    v, c = normal(DIM, seed=5), normal(PIXELS, seed=6)
    assert torch.allclose(found.times(v), dense @ v)
    assert torch.allclose(found.times(x), x @ dense.T)
    assert torch.allclose(found.transposed_times(c, DIM), dense.T @ c)


def test_without_shared_factors_the_sparse_part_suffers():
    jacobian, shared = truth()
    x = normal(ROWS, DIM)
    y = x @ (jacobian + 5 * shared).T
    known = torch.full((PIXELS, 0), -1)
    errors = []
    for limit in (4.0, 0.0):
        found = sparse_fit(x, y, float(ROWS), known, 0.01, 8, limit, True)
        dense = torch.zeros_like(jacobian).scatter_add_(1, found.index.clamp_min(0), found.value)
        errors.append(float((dense - jacobian).norm()))
    assert errors[0] < 0.1 * errors[1]


def test_noise_has_no_support():
    found = sparse_fit(
        normal(ROWS, DIM), normal(ROWS, 400, seed=9), float(ROWS), torch.full((400, 0), -1), 0.01, 8, 0.0, True
    )
    assert (found.index >= 0).sum() <= 20


def test_both_screens_find_the_parameter_of_a_pixel():
    x = normal(12, 500)
    parents = torch.arange(0, 500, 7)
    y = x[:, parents] * 3
    for candidates in (screen(x, y, 4), screen_by_angle(x, y, 4)):
        assert (candidates == parents[:, None]).any(1).all()


def test_union_keeps_each_entry_once():
    a, b = torch.tensor([[3, 1, -1], [2, -1, -1]]), torch.tensor([[1, 5], [2, -1]])
    assert union(a, b, 8).tolist() == [[3, 1, 5], [2, -1, -1]]
    assert union(a, b, 2).tolist() == [[3, 1], [2, -1]]


def test_span_part_is_ridge_regression():
    x = normal(15, DIM)
    x = x - x.mean(0)
    y = x @ normal(DIM, PIXELS, seed=2)
    mean = torch.full((15,), 15**-0.5, dtype=torch.float64)
    span = Span(x, y, mean, Sparse.none(y), Pyramid((PIXELS,), y[0]), 0)
    model = Model.of(span)
    dense = y.T @ torch.linalg.solve(x @ x.T + span.ridge * torch.eye(15), x)
    v, c = normal(DIM, seed=5), normal(PIXELS, seed=6)
    assert torch.allclose(model.times(v), dense @ v, rtol=1e-5, atol=1e-5)
    assert torch.allclose(model.transposed_times(c), dense.T @ c, rtol=1e-5, atol=1e-5)
    gain = 1 + 0.5 * normal(PIXELS, seed=8)
    assert torch.allclose(model.scaled(gain).times(v), gain * model.times(v))
    inside = x.T @ normal(15, seed=7)
    assert (
        model.damping(inside, torch.ones(PIXELS).double()).norm()
        < 0.2 * model.damping(v, torch.ones(PIXELS).double()).norm()
    )


def test_conjugate_gradients_against_closed_form():
    root = normal(8, 8)
    matrix, gradient = root @ root.T + torch.eye(8), normal(8, seed=1)
    free = steihaug(gradient, lambda v: matrix @ v, 1e6, 60)
    assert torch.allclose(free, -torch.linalg.solve(matrix, gradient), rtol=1e-2)
    assert steihaug(gradient, lambda v: matrix @ v, 0.1, 60).norm() == pytest.approx(0.1)


def test_pyramid_keeps_constants_and_spreads_points():
    for shape in ((32, 40), (32, 40, 3)):
        pyramid = Pyramid(shape, torch.zeros(1))
        assert len(pyramid) > 3
        assert torch.allclose(pyramid.blur(torch.ones(2, *shape), 3), torch.ones(2, *shape), atol=1e-5)
        point = torch.zeros(shape)
        point[16, 20] = 1
        blurred = pyramid.blur(point.flatten()[None], 3).view(shape)
        assert float(blurred.sum()) == pytest.approx(float(point.sum()), rel=1e-4)
        assert float(blurred.square().sum() / point.square().sum()) == pytest.approx(pyramid.averaged(3), rel=0.1)
    assert len(Pyramid((500,), torch.zeros(1))) == 1


def test_wanted_picture_where_exposure_is_ignored():
    target = torch.rand(12, 12, generator=torch.Generator().manual_seed(0))
    start = 3 + torch.rand(12, 12, generator=torch.Generator().manual_seed(1))
    found = wanted_picture(lambda p: (p / p.amax((1, 2), keepdim=True) - target).square().mean((1, 2)), start)
    assert torch.corrcoef(torch.stack([found.flatten(), target.flatten()]))[0, 1] > 0.99
    assert float(found.mean()) == pytest.approx(float(start.mean()), rel=1e-4)
    assert wanted_picture(lambda p: 1 + p.square().mean((1, 2)), start) is None


def test_linear_share_of_linear_and_of_even_answers():
    x = normal(4, 10)
    assert torch.allclose(linear_share(x, -x, 2), torch.ones(2).double())
    assert torch.allclose(linear_share(x, x, 2), -torch.ones(2).double())


def result(problem, evaluations, replicate=0, **params):
    given = parameters.check(Influence.setup, params, "influence")
    return run(problem, Influence, given, Limits(evaluations, 300), task="t", label="influence", replicate=replicate)


def test_texture_is_solved_within_64_renders():
    row = result(Texture(size=16), 64).row
    assert row["n_evals"] <= 64
    assert row["loss_final"] < 1e-6 * row["loss_start"]


def test_squares_far_from_their_targets_arrive():
    row = result(Square(squares=4), 500).row
    assert row["loss_final"] < 0.1 * row["loss_start"]


@pytest.mark.parametrize("less", [{"pyramid": False}, {"entries": 0}, {"factors": 0}])
def test_ablations_learn_too(less):
    row = result(Square(squares=1, case="overlap"), 200, **less).row
    assert row["status"] == "finished"
    assert row["loss_final"] < row["loss_start"]
