"""Simulated, tiled and rasterized worlds: against brute force, against what is known of them, and repeated."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from benchmarks.animation import _flight as flight
from benchmarks.animation.engine import SLOTS, Engine
from benchmarks.contract.errors import Unsupported
from benchmarks.harness.loop import Limits
from benchmarks.harness.registry import method_class
from benchmarks.harness.runner import run
from benchmarks.meshes import _raster as raster
from benchmarks.meshes.multi_view import STEP, MultiView
from benchmarks.modelling.mosaic import COLORS, KINDS, Mosaic

# ---------------------------------------------------------------------------------------------------------------------
# Engine
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("controls", ["switches", "times"])
def test_a_landing_is_known_and_flies_alike_to_the_last_bit(controls):
    problem = Engine(controls=controls)
    first, again = (problem.flight(problem.solution()).path for _ in range(2))
    assert np.array_equal(first, again)
    assert problem.floor() < 5e-3
    assert abs(first[-1, 0] - flight.MARK) < 0.8  # between the posts
    assert first[:, 1].max() > 2.2  # above the wall


def test_without_thrust_the_lander_stays_where_it_is():
    path = flight.fly(np.zeros(4), np.zeros(4)).path
    assert np.abs(path - path[-1]).max() < 0.1
    assert flight.miss(path) == pytest.approx(1.0, abs=0.01)


def test_every_start_flies_over_the_wall_and_misses():
    problem = Engine()
    starts = torch.stack([problem.start(seed) for seed in range(4)])
    assert torch.equal(problem.loss(starts, 0), problem.loss(problem.begin[None], 0).expand(4))
    path = problem.flight(problem.begin).path
    assert path[-1, 0] > flight.MARK + 1
    assert problem.validate(problem.begin)["loss"] > 100 * problem.floor()


def test_switches_are_decoded_as_the_space_says():
    problem = Engine()
    z = 1.5 * torch.randn(problem.dim, generator=torch.Generator().manual_seed(0))
    main, side = problem.thrusts(z)
    index = [int(value.index(z[None])) for value in problem.discrete]
    assert main.tolist() == index[:SLOTS]
    assert (side + 1).tolist() == index[SLOTS:]
    words = problem.decoded(z)
    assert words["main"] == "".join(map(str, index[:SLOTS]))
    assert len(words["side"]) == SLOTS


def test_side_thrust_turns_the_way_its_name_says():
    off, left = np.zeros(4), np.array([1.0, 0, 0, 0])
    assert flight.fly(np.ones(4), left).path[60, 2] > 0.1
    assert flight.fly(np.ones(4), -left).path[60, 2] < -0.1
    assert abs(flight.fly(np.ones(4), off).path[60, 2]) < 1e-6


def test_without_the_simulator_the_command_that_mends_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymunk", None)
    with pytest.raises(Unsupported, match=r"pip install 'pymunk>=7\.3,<8'"):
        Engine()


# ---------------------------------------------------------------------------------------------------------------------
# Mosaic
# ---------------------------------------------------------------------------------------------------------------------


def test_every_pixel_shows_the_nearest_tile():
    problem = Mosaic(tiles=9, size=12)
    z = problem.start(1) + 0.7 * torch.randn(problem.dim, generator=torch.Generator().manual_seed(2))
    place, color, kind = (part[0] for part in problem.decode(z[None]))
    picture = problem.observe(z[None], 0)[0]
    weights = list(KINDS.values())
    for row in range(12):
        for column in range(12):
            offset = (torch.tensor([column + 0.5, row + 0.5]) - place).abs()
            far = [max(a * float(d.max()), b * float(d.sum())) for d, (a, b) in
                   zip(offset, (weights[k] for k in kind), strict=True)]  # fmt: skip
            assert torch.equal(picture[row, column], problem.palette[color[int(np.argmin(far))]])


def test_tiles_are_decoded_as_the_space_says_and_as_they_were_encoded():
    problem = Mosaic(tiles=9, size=12)
    z = torch.randn(problem.dim, generator=torch.Generator().manual_seed(3))
    place, color, kind = (part[0] for part in problem.decode(z[None]))
    index = [int(value.index(z[None])) for value in problem.discrete]
    assert index == [*color.tolist(), *kind.tolist()]
    again = problem.decode(problem.encode(place, color, kind)[None])
    torch.testing.assert_close(again[0][0], place)
    assert torch.equal(again[1][0], color)
    assert torch.equal(again[2][0], kind)
    assert sum(problem.decoded(z)[name] for name in KINDS) == 9
    assert sum(problem.decoded(z)[f"color_{at}"] for at in range(COLORS)) == 9


def test_the_greedy_search_improves_on_the_best_colours_of_a_grid():
    problem = Mosaic(tiles=16, size=16)
    grid = torch.arange(16)
    cells = problem.encode(problem.grid, grid * 0, grid * 0)
    shown = problem.distances(problem.grid, grid * 0).flatten(1).argmin(0)
    pixels = problem.target.flatten(0, 1)
    prices = torch.stack([(pixels - color).square().sum(1) for color in problem.palette], 1)
    best = torch.zeros(16, COLORS).index_add_(0, shown, prices).argmin(1)
    colored = problem.encode(problem.grid, best, grid * 0)
    losses = problem.loss(torch.stack([cells, colored, problem.solution()]), 0)
    assert losses[2] < 0.8 * losses[1] < 0.8 * losses[0]


# ---------------------------------------------------------------------------------------------------------------------
# Mesh
# ---------------------------------------------------------------------------------------------------------------------

FRONT = torch.eye(3)[None]  # one viewer that looks down z


def test_the_nearest_triangle_is_seen_and_those_that_face_away_are_not():
    near = torch.tensor([[-0.5, -0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.5, 0.5]])
    far = torch.tensor([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.3], [0.0, 1.0, 0.0]])
    vertices = torch.cat([near, far])[None]
    both = torch.tensor([[0, 1, 2], [3, 4, 5]])
    alone = [raster.render(vertices, both[[at]], FRONT, 24)[0, 0] for at in (0, 1)]
    together = raster.render(vertices, both, FRONT, 24)[0, 0]
    assert torch.equal(together, torch.where(alone[0] > 0, alone[0], alone[1]))
    assert torch.equal(together, raster.render(vertices, both.flip(0), FRONT, 24)[0, 0])
    assert not raster.render(vertices, both.flip(1), FRONT, 24).any()


def test_a_triangle_covers_the_pixels_whose_centres_lie_in_it():
    corners = torch.tensor([[-1.1, -0.8, 0.0], [1.2, -0.3, 0.0], [-0.2, 1.3, 0.0]])
    size = 20
    seen = raster.render(corners[None], torch.tensor([[0, 1, 2]]), FRONT, size)[0, 0] > 0
    xy = (corners[:, :2] * raster.ZOOM + 0.5) * size
    for row in range(size):
        for column in range(size):
            point = torch.tensor([column + 0.5, size - 1 - row + 0.5])
            sides = [
                float(
                    (xy[(k + 1) % 3] - xy[k])[0] * (point - xy[k])[1]
                    - (xy[(k + 1) % 3] - xy[k])[1] * (point - xy[k])[0]
                )
                for k in range(3)
            ]
            assert bool(seen[row, column]) == (min(sides) >= 0)


def test_pictures_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    problem = MultiView(subdivisions=2, size=16)
    z = torch.randn(5, problem.dim, generator=torch.Generator().manual_seed(0))
    whole = problem.observe(z, 0)
    monkeypatch.setattr(raster, "PAIRS", 1)
    assert torch.equal(whole, problem.observe(z, 0))


@pytest.mark.parametrize("smoothing", [0.0, 10.0])
def test_a_random_step_is_as_long_with_the_preconditioner_as_without(smoothing):
    problem = MultiView(subdivisions=2, smoothing=smoothing)
    z = torch.randn(200, problem.dim, generator=torch.Generator().manual_seed(0))
    moved = problem.vertices(z) - problem.sphere
    assert float(moved.square().mean().sqrt()) == pytest.approx(STEP, rel=0.05)
    edges = moved[:, problem.faces[:, 0]] - moved[:, problem.faces[:, 1]]
    assert (float(edges.square().mean().sqrt()) < STEP) == (smoothing > 0)  # neighbours move together
    assert problem.floor() < 1e-9


def test_antialiased_pictures_are_hard_ones_averaged_over_pixels():
    problem = MultiView(subdivisions=2, size=16)
    vertices = problem.vertices(problem.start(0)[None])
    fine = raster.render(vertices, problem.faces, problem.views, 16 * 16)
    area = torch.nn.functional.avg_pool2d(fine, 16)
    soft = problem.antialiased(problem.start(0)[None])
    away = [
        float((shown - area).square().mean().sqrt())
        for shown in (soft, raster.render(vertices, problem.faces, problem.views, 16))
    ]
    assert away[0] < 0.3 * away[1]


@pytest.mark.parametrize("at", ["start", "target"])
def test_the_mesh_s_gradient_is_the_slope_of_antialiased_pictures(at):
    """Along the gradient, where a step is long enough for pixels to change hands; along others, where none does."""
    problem = MultiView(subdivisions=2, size=24, smoothing=10.0)
    for name in ("sphere", "views", "spread", "reference", "antialiased_target", "target"):
        setattr(problem, name, getattr(problem, name).double())
    noise = torch.randn(problem.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z = problem.start(0).double() if at == "start" else problem.reference + 0.5 * noise

    def slope(along, step):
        losses = problem.antialiased(z + step * along * torch.tensor([[1], [-1]])) - problem.antialiased_target
        ahead, behind = losses.square().mean((1, 2, 3)).tolist()
        return (ahead - behind) / (2 * step)

    gradient = problem.loss_and_grad(z[None], 0)[1][0]
    steepest = gradient / gradient.square().mean().sqrt()
    assert slope(steepest, 0.02) == pytest.approx(float(gradient @ steepest), rel=0.1)
    slopes = torch.tensor([slope(along, 1e-6) for along in torch.eye(problem.dim)[:: problem.dim // 40].double()])
    found = gradient[:: problem.dim // 40]
    agree = (slopes - found).abs() < 1e-4 * found.abs().max()
    assert agree.double().mean() > 0.8


def test_the_mesh_s_oracle_descends_on_the_hard_loss():
    problem, kind = MultiView(subdivisions=2, size=24, smoothing=10.0), method_class("adam")
    params = {"lr": 0.3, "source": "antialiased"}
    result = run(problem, kind, params, Limits(90, 600), task="mesh", label="adam", replicate=0)
    assert result.status == "finished", result.reason
    assert result.row["loss_final"] < 0.4 * result.row["loss_start"]
    losses = problem.loss_and_grad(problem.start(0)[None], 0)[0]
    assert torch.equal(losses, problem.loss(problem.start(0)[None], 0))
