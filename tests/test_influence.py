"""Influence: what it learns against the true Jacobian, its parts against dense algebra, and whole runs."""

from __future__ import annotations

import copy

import pytest
import torch

from benchmarks.contract import parameters
from benchmarks.harness.loop import Limits
from benchmarks.harness.runner import run
from benchmarks.pixels.camera import Camera
from benchmarks.pixels.mixture import Mixture
from benchmarks.pixels.texture import Texture
from benchmarks.raster.square import Square
from methods._discrete import Discrete
from methods._influence_model import Influence as Model
from methods._influence_model import Span
from methods._influence_plan import planned
from methods._influence_pyramid import Pyramid, linear_share, wanted_picture
from methods._influence_sparse import Sparse, screen, screen_by_angle, sparse_fit, union
from methods._steihaug import steihaug, steihaug_path
from methods.base import Evaluation
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
    found = sparse_fit(x, y, float(ROWS), known, 0.01, 8, 4.0, search, torch.zeros(PIXELS))
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
        found = sparse_fit(x, y, float(ROWS), known, 0.01, 8, limit, True, torch.zeros(PIXELS))
        dense = torch.zeros_like(jacobian).scatter_add_(1, found.index.clamp_min(0), found.value)
        errors.append(float((dense - jacobian).norm()))
    assert errors[0] < 0.1 * errors[1]


def test_noise_has_no_support():
    y = normal(ROWS, 400, seed=9)
    found = sparse_fit(
        normal(ROWS, DIM), y, float(ROWS), torch.full((400, 0), -1), 0.01, 8, 0.0, True, torch.zeros(400)
    )
    assert (found.index >= 0).sum() <= 20


def test_pixels_below_their_floor_are_explained():
    x, (jacobian, _) = normal(ROWS, DIM), truth()
    y = x @ jacobian.T
    floor = torch.where(torch.arange(PIXELS) < 3, 2 * y.square().sum(0), 0.0)
    found = sparse_fit(x, y, float(ROWS), torch.full((PIXELS, 0), -1), 0.01, 8, 0.0, True, floor)
    assert ((found.index >= 0).any(1) == (torch.arange(PIXELS) >= 3)).all()


def test_a_correction_is_added_entry_by_entry():
    known = Sparse(torch.tensor([[4, 1, -1], [2, -1, -1]]), torch.tensor([[1.0, 2, 0], [3, 0, 0]]), torch.ones(2, 3))
    more = Sparse(torch.tensor([[1, 7], [-1, -1]]), torch.tensor([[0.5, 6], [0, 0]]), torch.full((2, 2), 0.25))
    both = known.plus(more)
    v = normal(8).float()
    assert torch.allclose(both.times(v), known.times(v) + more.times(v))
    entries = dict(zip(both.index[0].tolist(), both.variance[0].tolist(), strict=True))
    assert entries == {1: 0.25, 4: 1.0, 7: 0.25}
    assert both.index[1].tolist() == [2, -1, -1]
    assert float(both.value[1, 1:].abs().sum()) == 0  # padding is nothing


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


def damping(model, v):
    """What is not known about J costs, of a criterion that is ½ |p|² and flat along what is known."""
    return model.normal(torch.zeros_like, torch.ones(PIXELS).double())(v)


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
    assert damping(model, inside).norm() < 0.2 * damping(model, v).norm()
    curvature = normal(PIXELS, seed=9).square()
    product = model.normal(lambda p: curvature * p, curvature)(v)
    shown = torch.linalg.solve(x @ x.T + span.ridge * torch.eye(15), x)
    unknown = (curvature @ model.doubt) * (v - x.T @ (shown @ v))
    assert torch.allclose(product, dense.T @ (curvature * (dense @ v)) + unknown, rtol=1e-4, atol=1e-4)


def learned(rows=15):
    """A Jacobian learned from few exact renders, none of it sparse, and the true one."""
    x = normal(rows, DIM)
    x = x - x.mean(0)
    jacobian = normal(PIXELS, DIM, seed=2)
    y = x @ jacobian.T
    mean = torch.full((rows,), rows**-0.5, dtype=torch.float64)
    pyramid = Pyramid((PIXELS,), y[0])
    return Model.of(Span(x, y, mean, Sparse.none(y), pyramid, 0)), jacobian, x, pyramid


def test_what_the_span_says_is_trusted_as_far_as_it_comes_true():
    model, _, x, pyramid = learned()
    step = x.T @ normal(15, seed=7)
    said = model.times(step)
    for came, trust in ((said, 1.0), (0.3 * said, 0.3), (-said, 0.0), (2 * said, 1.0)):
        after = model.calibrated(step, came, 1.0, pyramid, 0)
        assert after.trust == pytest.approx(trust)
        assert torch.allclose(after.times(step), trust * said)


def test_doubt_falls_only_after_steps_that_kept_their_promise():
    model, _, x, pyramid = learned()
    step = x.T @ normal(15, seed=7) + normal(DIM, seed=8)
    came = model.times(step)  # nothing of what was feared
    kept = model.calibrated(step, came, 1.0, pyramid, 0)
    assert kept.caution == pytest.approx(0.1)
    assert damping(kept, step).norm() < damping(model, step).norm()
    assert model.calibrated(step, came, 0.5, pyramid, 0).caution == 1.0
    assert kept.calibrated(step, came, 0.1, pyramid, 0).caution == pytest.approx(0.3)
    surprised = kept.calibrated(step, came + 100 * normal(PIXELS, seed=9), 1.0, pyramid, 0)
    assert surprised.caution == 1.0


def test_a_plan_promises_what_a_true_jacobian_of_least_squares_keeps():
    model, jacobian, _, pyramid = learned(rows=DIM + 20)
    goal = jacobian @ normal(DIM, seed=5)
    base = torch.zeros(PIXELS, dtype=torch.float64)
    objective = pyramid.objective(lambda p: (p - goal).square().mean(1), 0, None)
    near, far = (planned(model, objective, base, radius, 1.0) for radius in (0.05, 50.0))
    assert near.step.square().mean().sqrt() == pytest.approx(0.05, rel=1e-3)
    assert near.promise < 0.5 < far.promise == pytest.approx(near.could, abs=0.05)
    for plan in (near, far):
        gained = 1 - float(objective((base + jacobian @ plan.step)[None])) / plan.value
        assert gained == pytest.approx(plan.promise, abs=0.02)


def test_conjugate_gradients_against_closed_form():
    root = normal(8, 8)
    matrix, gradient = root @ root.T + torch.eye(8), normal(8, seed=1)
    free = steihaug(gradient, lambda v: matrix @ v, 1e6, 60)
    assert torch.allclose(free, -torch.linalg.solve(matrix, gradient), rtol=1e-2)
    assert steihaug(gradient, lambda v: matrix @ v, 0.1, 60).norm() == pytest.approx(0.1)
    radii = (0.05, 0.1, 0.5, 1e6)
    for step, radius in zip(steihaug_path(gradient, lambda v: matrix @ v, radii, 60), radii, strict=True):
        assert torch.equal(step, steihaug(gradient, lambda v: matrix @ v, radius, 60))
    saddle = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))
    for step, radius in zip(steihaug_path(gradient[:2], lambda v: saddle @ v, radii, 60), radii, strict=True):
        assert step.norm() == pytest.approx(radius)


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
    x = torch.cat([normal(4, 10), torch.zeros(2, 10, dtype=torch.float64)])  # two scales, and none
    for behind, share in ((-x, 1.0), (x, -1.0)):
        for shares in linear_share(x, behind, 3):
            assert torch.allclose(shares, torch.full((2,), share).double())


def test_noise_is_told_from_curvature():
    x = torch.cat([normal(40, 500), torch.zeros(40, 500, dtype=torch.float64)])
    noise = (0.8 * normal(80, 500, seed=seed) for seed in (1, 2))
    even = 0.3 * x.abs()
    ahead, behind = (sign * x + even + part for sign, part in zip((1, -1), noise, strict=True))
    loud, quiet = (float(shares) for shares in linear_share(ahead, behind, 2))
    assert loud == pytest.approx((1 - 0.09) / (1 + 0.09 + 0.64), abs=0.03)  # noise is in both parts alike
    assert quiet == pytest.approx((1 - 0.09) / (1 + 0.09), abs=0.03)


def result(problem, evaluations, replicate=0, **params):
    given = parameters.check(Influence.setup, params, "influence")
    return run(problem, Influence, given, Limits(evaluations, 300), task="t", label="influence", replicate=replicate)


def test_texture_is_solved_within_64_renders():
    row = result(Texture(size=16), 64).row
    assert row["n_evals"] <= 64
    assert row["loss_final"] < 1e-6 * row["loss_start"]


@pytest.mark.parametrize(("view", "left"), [("bloom", 1e-6), ("tone_map", 1e-2), ("noise", 1e-2)])
def test_what_a_camera_does_is_seen_through(view, left):
    row = result(Camera(view=view, size=16), 256).row
    assert row["loss_final"] < left * row["loss_start"]


def test_without_structure_the_measured_span_is_left():
    problem = Mixture(size=16)
    row = result(problem, 400).row
    gained = 1 - row["loss_final"] / row["loss_start"]
    assert 0.75 * 400 / problem.dim < gained < 1.1 * 400 / problem.dim


def test_a_step_that_keeps_little_of_its_promise_is_not_taken():
    problem = Texture(size=8)
    method = Influence(problem.space(0, 100), 0)
    while method.phase != "trial":
        picture = problem.observe(z := method.ask(), 0)
        method.tell(z, Evaluation(problem.criterion(picture), None, picture, problem.criterion))
    theta, radius = method.incumbent(), method.radii[0]
    for share, taken in ((0.02, False), (1.0, True)):  # of the way to the picture that was promised
        seen = torch.lerp(problem.observe(theta[None], 0), problem.observe(method.ask(), 0), share)
        method.tell(method.ask(), Evaluation(problem.criterion(seen), None, seen, problem.criterion))
        assert torch.equal(method.incumbent(), theta) != taken
        assert (method.radii[0] < radius) != taken
        radius = method.radii[0]


def test_it_stops_where_nothing_is_left():
    ended = result(Square(squares=1, case="overlap"), 300)
    assert ended.status == "stopped"
    assert "met to rounding" in ended.reason
    assert ended.row["loss_final"] == 0 < ended.row["n_evals"] < 300


def test_squares_far_from_their_targets_arrive():
    row = result(Square(squares=4), 500).row
    assert row["loss_final"] < 0.1 * row["loss_start"]


@pytest.mark.parametrize("less", [{"pyramid": False}, {"entries": 0}, {"factors": 0}])
def test_ablations_learn_too(less):
    row = result(Square(squares=1, case="overlap"), 200, **less).row
    assert row["status"] in ("finished", "stopped")
    assert row["loss_final"] < row["loss_start"]


class Scrambled(Texture):
    """Most of the picture follows θ in waves much shorter than any step; the loss does not."""

    def observe(self, z, seed):
        seen = super().observe(z, seed)
        waves = torch.sin(torch.linspace(1e3, 1e4, 500) * seen.flatten(1).sum(1)[:, None])
        return torch.cat([seen.flatten(1), 1e3 * waves], 1)

    def criterion(self, observed):
        kept = self.target_image().numel()
        return (observed[:, :kept] - self.target_image().flatten()).square().mean(1)


def go_on(method, problem, evaluations):
    """Let the method ask and be told; return what it asked for and its phases."""
    asked, phases = [], set()
    until = method.used + evaluations
    while method.used < until:
        picture = problem.observe(z := method.ask(), 0)
        asked.append(z)
        phases.add(method.phase)
        method.tell(z, Evaluation(problem.criterion(picture), None, picture, problem.criterion))
    return torch.cat(asked), phases


def test_where_no_picture_is_predictable_losses_are_read():
    problem = Scrambled(size=8)
    space = problem.space(0, 600)
    method = Influence(space, 0)
    _, phases = go_on(method, problem, 560)
    assert "blind" in phases
    assert "trial" not in phases
    start, end = (float(problem.loss(point[None], 0)) for point in (space.start, method.incumbent()))
    assert end < 0.5 * start


class Lamps(Texture):
    """A hundred lamps, on or off, that shine on a wall; whatever is brighter than white is white."""

    def setup(self):
        super().setup(size=16)
        self.dim = 100
        self.discrete = tuple(Discrete(at, 2, low=-0.5) for at in range(self.dim))
        self.shine = torch.rand(self.dim, 16, 16, 3, generator=torch.Generator().manual_seed(0)).pow(60)
        self.reference = (torch.arange(self.dim) % 3 == 0).float() - 0.5

    def start(self, seed):
        return torch.rand(self.dim, generator=torch.Generator().manual_seed(seed)) - 0.5

    def observe(self, z, seed):
        return torch.tensordot((z >= 0).float(), self.shine, 1)

    def criterion(self, observed):
        wanted = torch.tensordot((self.reference >= 0).float(), self.shine, 1)
        return (observed.clamp(max=1) - wanted.clamp(max=1)).square().mean((1, 2, 3))

    def validate(self, z):
        return {"loss": float(self.loss(z[None], 0)), "parameter_error": 0.0}


class ScrambledLamps(Lamps):
    """Every lamp is the other way round while an odd number of switches is on: no flip's answer predicts another's."""

    def observe(self, z, seed):
        on = z >= 0
        odd = on.sum(1, keepdim=True) % 2 == 1
        return super().observe((on ^ odd).float() - 0.5, seed)


def test_switches_are_solved_by_flips_of_the_predicted_picture():
    problem = Lamps()
    ended = result(problem, 100)
    assert ended.status == "stopped"
    assert ended.row["loss_final"] == 0 < ended.row["n_evals"] < problem.dim / 2  # one by one it takes them all


def test_where_no_flip_is_predictable_losses_are_read():
    method = Influence(ScrambledLamps().space(0, 900), 0)
    _, phases = go_on(method, ScrambledLamps(), 400)
    assert "blind" in phases


def test_what_reads_losses_alone_goes_on_where_it_was():
    problem = Scrambled(size=8)
    space = problem.space(0, 600)
    first, second = Influence(space, 0), Influence(space, 1)
    _, phases = go_on(first, problem, 150)
    assert "blind" in phases
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    ahead, _ = go_on(first, problem, 200)
    assert torch.equal(ahead, go_on(second, problem, 200)[0])
