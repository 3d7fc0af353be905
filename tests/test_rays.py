"""Rays for gradients: allocation and its memory, single rays of scenes, what is measured of them, tables and figure."""

from __future__ import annotations

import json

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from figure_checks import assert_every_panel_shows_something, assert_nothing_is_cut_off

from benchmarks.contract.errors import Unsupported, UsageError
from benchmarks.experiments import ray_descent, ray_maps
from benchmarks.experiments.ray_maps import Variances, rows_of
from benchmarks.experiments.ray_prb import slope_of
from benchmarks.experiments.rays import Rays
from benchmarks.harness.pieces import run_pieces
from benchmarks.harness.registry import task_class
from benchmarks.rendering._mitsuba import backend
from benchmarks.rendering._ray_derivatives import differentiate_pixels
from benchmarks.rendering.cup import Cup
from benchmarks.rendering.shadows import Shadows
from methods._ray_allocation import HORIZON, Memory, best_samples, gain, intensities, visits, worth
from methods._ray_budget import Budget, per_visit, variance_of_a_ray
from workflow.failures import make_failures
from workflow.figures.rays import Options, draw
from workflow.figures.style import use_style
from workflow.figures.tables import Tables
from workflow.suite import Suite
from workflow.tables.__main__ import make_tables
from workflow.tables.written import write

mpl.use("agg")
PIXELS = 12


@pytest.fixture(scope="module")
def single_rays():
    """Skip where single rays cannot be traced: Mitsuba's scalar variant takes one at a time."""
    if backend().no_gradient:
        pytest.skip(backend().no_gradient)


def random(seed=0):
    return np.random.default_rng(seed)


def test_intensities_spend_what_is_granted():
    deviation = random().random(PIXELS) ** 4
    found = intensities(deviation, 30.0)
    assert found.sum() == pytest.approx(30)
    assert found.min() >= 0.3 * 30 / PIXELS
    assert np.corrcoef(found, deviation)[0, 1] == pytest.approx(1)
    assert intensities(np.zeros(PIXELS), 6.0) == pytest.approx(np.full(PIXELS, 0.5))


def test_visits_are_unbiased_and_even():
    intensity = intensities(random().random(PIXELS) ** 3, 7.3)
    counts = np.stack([np.bincount(visits(intensity, u), minlength=PIXELS) for u in (np.arange(4000) + 0.5) / 4000])
    assert counts.mean(0) == pytest.approx(intensity, abs=2e-3)
    assert (np.abs(counts - intensity) < 1 + 1e-9).all()


def test_weights_make_any_allocation_unbiased_and_the_best_one_calm():
    """Estimates of Σ E[c_p] from rays with known deviations, by allocations that spend the same."""
    generator, mean, deviation = random(1), random(2).random(PIXELS), random(3).random(PIXELS) ** 4
    variances = {}
    for name, intensity in {
        "even": np.full(PIXELS, 2.0),
        "best": intensities(deviation, 2.0 * PIXELS, floor=0.0),
        "mixed": intensities(deviation, 2.0 * PIXELS),
    }.items():
        sums = []
        for _ in range(20_000):
            pixels = np.repeat(np.arange(PIXELS), generator.poisson(intensity))
            rays = deviation[pixels] * generator.standard_normal(len(pixels))
            sums.append((rays / intensity[pixels]).sum() + mean.sum())
        assert np.mean(sums) == pytest.approx(mean.sum(), abs=5 * np.std(sums) / np.sqrt(20_000))
        variances[name] = np.var(sums)
        assert variances[name] == pytest.approx((deviation**2 / intensity).sum(), rel=0.05)
    best = intensities(deviation, 2.0 * PIXELS, floor=0.0)
    assert gain(deviation**2, best) == pytest.approx(PIXELS * (deviation**2).sum() / deviation.sum() ** 2)
    assert variances["even"] / variances["best"] == pytest.approx(gain(deviation**2, best), rel=0.1)
    assert 1 < variances["even"] / variances["mixed"] < variances["even"] / variances["best"]


def test_a_gain_is_one_where_all_pixels_are_alike():
    assert gain(np.ones(PIXELS), intensities(np.ones(PIXELS), 5.0)) == pytest.approx(1)


def test_memory_learns_squares_whatever_the_intensity():
    generator, truth = random(4), np.repeat([0.0, 1.0, 4.0], 12)
    for intensity in (np.full(36, 1.0), intensities(truth, 36.0)):
        memory = Memory(6, 6)
        for _ in range(400):
            pixels = visits(intensity, generator.random())
            memory.add(pixels, truth[pixels] * generator.standard_normal(len(pixels)) ** 2, intensity)
        rows = memory.squares.reshape(3, 12).mean(1)
        assert rows == pytest.approx([0, 1, 4], abs=0.6)
        assert rows[0] == 0


def test_memory_s_horizon_is_counted_in_rays_per_pixel():
    memory, pixels, one = Memory(2, 2), np.arange(4), np.ones(4)
    for _ in range(200):
        memory.add(pixels, np.ones(4), one)
    memory.add(pixels, np.full(4, 2.0 + HORIZON), one)
    assert memory.squares == pytest.approx(np.full(4, 2.0))  # a share 1 / (HORIZON + 1) of a rise by HORIZON + 1


def test_a_neighbour_of_what_matters_may_matter():
    memory = Memory(5, 5)
    memory.squares[12] = 9.0
    shown = memory.deviation().reshape(5, 5)
    assert shown[1:4, 1:4] == pytest.approx(np.ones((3, 3)))
    assert shown[0] == pytest.approx(np.zeros(5))


def test_best_number_of_samples_is_the_least_of_variance_times_cost():
    perturbation, ray, overhead = 3.0, 0.7, 5.0
    found = best_samples(perturbation, ray, overhead)
    at = worth(perturbation, ray, found, overhead)
    assert at < min(worth(perturbation, ray, found * factor, overhead) for factor in (0.9, 1.1))
    assert best_samples(perturbation, ray, 0.0) == 0  # where rays alone cost, the fewest are best
    assert best_samples(0.0, ray, overhead) == np.inf


def test_rows_tell_the_ratios_of_two_variances():
    """Four live pixels of sixteen, all rays of which are alike."""
    rays = np.zeros((4, 16))
    rays[:, :4] = 1.0
    found = Variances(rays, 3 * rays, np.ones(16), 12.0, np.zeros(16))
    rows = pd.DataFrame(rows_of(found, [1.0, 4.0])).set_index(["metric", "allocation", "samples"])["value"]
    assert rows["active", "uniform", 0.0] == 0.25
    assert rows["common", "uniform", 0.0] == pytest.approx(3)
    assert rows["share", "uniform", 1.0] == pytest.approx(4 / 16)
    assert rows["fewer", "uniform", 0.0] == pytest.approx((12 + 4 / 16) * 16 / (12 + 4))
    assert rows["ray_gain", "primal", 0.0] == pytest.approx(1)
    gained = rows["ray_gain", "gradient", 0.0]
    assert gained == pytest.approx(0.7 * 4 + 0.3)  # a quarter of the pixels gets 70 % and its part of the rest
    assert rows["total_gain", "gradient", 4.0] == pytest.approx(13 / (12 + 1 / gained))


@pytest.mark.llvm
@pytest.mark.usefixtures("single_rays")
@pytest.mark.parametrize("name", ["cup", "shadows", "occlusion", "poses", "global_illumination", "sphere"])
def test_rays_through_all_pixels_are_the_picture(name):
    scene = task_class(f"rendering.{name}")(width=12, height=8, spp=4)
    z = torch.stack([scene.begin, scene.reference])
    pixels = torch.arange(96).repeat_interleave(4)
    found = scene.observe_pixels(z, pixels, 7).view(2, 8, 12, 4, 3).mean(3)
    torch.testing.assert_close(found, scene._pictures(z, 4, 7), rtol=1e-5, atol=2e-6)  # noqa: SLF001
    chosen = scene.observe_pixels(z, pixels[::3], 3)
    assert torch.equal(chosen, scene.observe_pixels(z, pixels[::3], 3))
    assert not torch.equal(chosen, scene.observe_pixels(z, pixels[::3], 4))


@pytest.mark.llvm
@pytest.mark.usefixtures("single_rays")
@pytest.mark.parametrize("name", ["global_illumination", "cornell_box"])
def test_derivatives_of_all_rays_are_the_gradient_of_prb(name):
    """And of chosen rays, weighed by 1/l_p, in the mean."""
    scene = task_class(f"rendering.{name}")(width=10, height=8, spp=4)
    theta, target = torch.lerp(scene.begin, scene.reference, 0.6), scene.reference_picture(64)
    _, known = scene._gradient("prb", theta, 4, 7, target)  # noqa: SLF001
    rendered = scene.mi.render(scene.scene, integrator=scene.integrators["prb"], spp=4, seed=7)
    slope = slope_of(scene, torch.from_numpy(np.array(rendered)).view(-1, 3))
    pixels = torch.arange(80).repeat_interleave(4)
    _, slopes = differentiate_pixels(scene, theta, pixels, 8)
    parts = (slopes * slope[pixels][:, None]).sum(2)
    found = parts.sum(0) / 4
    assert known.abs().max() > 0
    torch.testing.assert_close(found, known, rtol=2e-4, atol=2e-4 * float(known.abs().max()))
    weights = intensities(random(8).random(80) ** 2, 60.0)
    generator, estimates = random(9), []
    per_pixel = parts.view(80, 4, -1).mean(1).numpy()
    for _ in range(3000):
        visited = visits(weights, generator.random())
        estimates.append((per_pixel[visited] / weights[visited, None]).sum(0))
    error = np.std(estimates, 0) / np.sqrt(3000)
    assert (np.abs(np.mean(estimates, 0) - found.numpy()) <= 5 * error + 1e-9).all()


@pytest.mark.llvm
@pytest.mark.usefixtures("single_rays")
def test_a_scene_held_still_is_measured():
    scene = Cup(width=16, height=12, spp=4)
    found = ray_maps.measure(scene, 0.6, 0.5, 6, 0)
    assert found.rays.shape == (6, 192)
    assert found.perturbation > 0
    active = (found.rays > 0).any(0).mean()
    assert 0 < active < 1  # most of the picture stays as it is
    assert found.apart.sum() > found.rays.sum()
    assert gain(found.rays.mean(0), intensities(np.sqrt(found.rays.mean(0)), 192.0)) > 1.5


@pytest.mark.llvm
@pytest.mark.usefixtures("single_rays")
@pytest.mark.parametrize(
    "arm",
    [
        *(ray_descent.Arm(2, 0.5, allocation) for allocation in ("uniform", "primal", "gradient")),
        ray_descent.Arm(pairs=2, budget=13.0, overhead=2.0),  # 1.25 samples: a quarter of the pixels is visited twice
    ],
    ids=["uniform", "primal", "gradient", "budget"],
)
def test_gradients_of_a_descent_are_unbiased(arm):
    """The same perturbations with many rays give the mean of gradients with few, whatever the memory has learned."""
    scene = Shadows(width=12, height=8, spp=4)

    def gradients(arm, count, steps=4):
        found = []
        for seed in range(count):
            descent = ray_descent.Descent(scene, arm, 10, 0)
            descent.random = np.random.default_rng(1000 + seed)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(descent.optimizer, "step", lambda: None)  # θ and its perturbations stay
                for number in range(steps):
                    patch.setattr(ray_descent, "FORGET", 0.0)  # Q as well
                    descent.picture = np.zeros_like(descent.picture)
                    descent.step(number)
            found.append(descent.theta.grad.double().numpy())
        return np.stack(found)

    few, many = gradients(arm, 60), gradients(ray_descent.Arm(2, 60.0), 2)
    error = few.std(0) / np.sqrt(len(few))
    assert (np.abs(few.mean(0) - many.mean(0)) < 4 * error + 1e-3 * np.abs(many).max()).all()


def pretend(perturbation, ray, budget, steps, seed=0, dim=6):
    """Let a budget learn from gradients with variances that are known; return the choices of all steps."""
    generator, choices = random(seed), []
    for _ in range(steps):
        pairs, samples = budget.choose()
        choices.append((pairs, samples))
        total = perturbation + ray * per_visit(samples)
        gradients = 3.0 + np.sqrt(total / dim) * generator.standard_normal((pairs, dim))
        budget.learn(gradients, ray * generator.chisquare(20, pairs) / 20, samples)
    return choices


@pytest.mark.parametrize(("perturbation", "ray", "overhead"), [(1.0, 2.0, 8.0), (1.0, 0.5, 40.0), (2.0, 8.0, 20.0)])
def test_samples_and_pairs_become_those_of_the_theory(perturbation, ray, overhead):
    budget = Budget(24 * (best_samples(perturbation, ray, overhead) + overhead), overhead)
    choices = pretend(perturbation, ray, budget, 400)[100:]
    found = np.median([samples for _, samples in choices])
    assert 0.5 < found / best_samples(perturbation, ray, overhead) < 2
    assert all(2 * pairs * (samples + overhead) == pytest.approx(budget.cost) for pairs, samples in choices)
    spent = np.mean([(perturbation + ray * per_visit(samples)) / pairs for pairs, samples in choices])
    options = [(pairs, budget.samples(pairs)) for pairs in range(2, budget.most + 1)]
    known = [(perturbation + ray * per_visit(samples)) / pairs for pairs, samples in options]
    assert spent < 1.1 * min(known)
    assert spent < 0.8 * max(known)


def test_a_budget_without_noise_of_rays_buys_pairs_and_without_perturbations_samples():
    budget = Budget(100.0, 5.0)
    assert pretend(1.0, 0.0, budget, 20)[-1][0] == budget.most == 8
    assert pretend(0.0, 500.0, Budget(100.0, 5.0), 60)[-1][0] < 6


def test_a_budget_too_small_for_two_pairs_says_what_is_needed():
    with pytest.raises(UsageError, match="give 25 or more"):
        Budget(20.0, 5.0)
    with pytest.raises(UsageError, match="pairs and samples, or a budget"):
        ray_descent.Arm(pairs=2)
    with pytest.raises(UsageError, match="follow from it"):
        ray_descent.Arm(budget=100.0, samples=2.0)
    with pytest.raises(UsageError, match="does not buy 9 pairs"):
        ray_descent.Arm(budget=100.0, overhead=5.0, pairs=9)


@pytest.mark.parametrize("samples", [1.25, 1.5, 2.0, 3.7])
def test_repeated_visits_tell_the_variance_of_a_ray(samples):
    generator, deviation, mean = random(5), random(6).random(PIXELS) * 2, 10 * random(7).random(PIXELS)
    found, visited = [], []
    for _ in range(4000):
        pixels = visits(np.full(PIXELS, samples), generator.random())
        values = mean[pixels] + deviation[pixels] * generator.standard_normal(len(pixels))
        found.append(variance_of_a_ray(values, pixels, samples))
        visited.append((1 / np.bincount(pixels, minlength=PIXELS)).mean())
    error = np.std(found) / np.sqrt(len(found))
    assert np.mean(found) == pytest.approx((deviation**2).sum(), abs=4 * error)
    assert np.mean(visited) == pytest.approx(per_visit(samples), rel=0.02)


@pytest.mark.llvm
@pytest.mark.usefixtures("single_rays")
def test_a_step_s_plan_is_known_before_its_rays_and_its_gradient_is_unbiased():
    """What is learned comes from past steps: with the same past, the mean over a step's rays is that of many rays."""
    scene, arm = Shadows(width=12, height=8, spp=4), ray_descent.Arm(budget=40.0, overhead=2.0)

    def after(rays, samples=None, plan=(3, 4.5)):
        descent = ray_descent.Descent(scene, arm, 10, 0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(descent.optimizer, "step", lambda: None)
            patch.setattr(ray_descent, "FORGET", 0.0)
            for number in range(3):
                descent.picture = np.zeros_like(descent.picture)
                if number == 2:
                    descent.random = np.random.default_rng(rays)
                    plan = descent.plan()
                    patch.setattr(descent, "plan", lambda plan=plan: (plan[0], samples or plan[1]))
                descent.step(number)
        return plan, descent.theta.grad.double().numpy()

    few, many = [after(seed) for seed in range(40)], [after(seed, 60.0)[1] for seed in range(2)]
    assert len({plan for plan, _ in few}) == 1
    found = np.stack([gradient for _, gradient in few])
    error = found.std(0) / np.sqrt(len(few))
    assert (np.abs(found.mean(0) - np.mean(many, 0)) < 4 * error + 1e-3 * np.abs(many).max()).all()


ARMS = {
    "joint": {"budget": 26, "overhead": 2},
    "budget_few_pairs": {"budget": 26, "overhead": 2, "pairs": 2},
    "budget_some_pairs": {"budget": 26, "overhead": 2, "pairs": 4},
    "even": {"pairs": 2, "samples": 0.5},
    "by_primal": {"pairs": 2, "samples": 0.5, "allocation": "primal"},
    "by_gradient": {"pairs": 2, "samples": 0.5, "allocation": "gradient"},
    "few_pairs": {"pairs": 1, "samples": 2},
    "many_pairs": {"pairs": 2, "samples": 1},
}
CONFIG = {
    "suite": "tiny",
    "seeds": 3,
    "rays": {
        "samples": [0.125, 1.0, 16.0],
        "states": [0.6, 0.9],
        "pairs": 4,
        "steps": 3,
        "descents": 3,
        "tasks": {
            "mug": {"problem": "rendering.cup", "params": {"width": 12, "height": 8, "spp": 2}, "arms": ARMS},
            "shadow": {"problem": "rendering.shadows", "params": {"width": 12, "height": 8, "spp": 2}},
            "room": {
                "problem": "rendering.global_illumination",
                "params": {"width": 12, "height": 8, "spp": 2},
                "pairs": 5,
                "prb": True,
            },
        },
    },
    "figures": {"rays": {}},
}


@pytest.fixture(scope="module")
def suite():
    return Suite("tiny.yaml", CONFIG)


@pytest.fixture(scope="module")
def results(suite, tmp_path_factory, single_rays):
    folder = tmp_path_factory.mktemp("results")
    for task, spec in suite.rays.items():
        run_pieces(Rays.from_json(json.dumps(spec)), folder / "rays" / task)
    write(make_tables(suite, folder), folder / "tables")
    return folder


@pytest.mark.llvm
@pytest.mark.usefixtures("single_rays")
@pytest.mark.xdist_group("rays")
class TestSuite:
    def test_tables_tell_everything(self, suite, results):
        values = pd.read_csv(results / "tables" / "rays.csv")
        assert values.groupby(["task", "state", "seed"]).ngroups == 18
        assert values[values.metric == "share"].value.between(0, 1).all()
        maps = pd.read_parquet(results / "tables" / "rays_maps.parquet")
        assert maps.groupby(["task", "map"]).size().eq(96).all()
        descents = pd.read_csv(results / "tables" / "rays_descents.csv")
        assert descents.groupby("arm").size().eq(3).all()
        assert set(descents.task) == {"mug"}
        assert descents.groupby("arm").rays.first().loc[["few_pairs", "many_pairs"]].nunique() == 1
        claims = pd.read_csv(results / "tables" / "claims.csv").set_index("id")
        assert claims.loc["rays/gradient/ray_gain", "n_pairs"] == 18
        assert claims.loc["rays/gradient/prb_ray_gain", "n_pairs"] == 6
        assert claims.loc["rays/descent/many_pairs/few_pairs", "n_pairs"] == 3
        assert claims.loc["rays/descent/joint/budget_few_pairs", "n_pairs"] == 3
        assert claims.loc["rays/descent/joint/budget_many_pairs", "verdict"] == "not tested"
        cost = descents[descents.arm.str.contains("joint|budget")].cost
        assert cost.to_numpy() == pytest.approx(np.full(9, 26.0))
        timed = values[values.metric == "overhead"]
        assert timed.groupby("task").size().eq(3).all()
        failures = make_failures(Suite("tiny.yaml", {**CONFIG, "figures": {}}), results)
        assert failures.empty

    def test_figure_is_whole(self, results):
        use_style()
        shown = draw(Tables(results / "tables"), Options())
        assert_every_panel_shows_something(shown)
        assert_nothing_is_cut_off(shown)
        assert len(shown.axes) == 15


def test_a_figure_without_rays_says_why(suite, tmp_path, monkeypatch):
    def unable(self, label):
        raise Unsupported("single rays need LLVM")

    monkeypatch.setattr(Rays, "compute", unable)
    for task, spec in suite.rays.items():
        run_pieces(Rays(**spec), tmp_path / "rays" / task)
    write(make_tables(suite, tmp_path), tmp_path / "tables")
    use_style()
    shown = draw(Tables(tmp_path / "tables"), Options())
    assert_nothing_is_cut_off(shown)
    (axes,) = shown.axes
    assert "single rays need LLVM" in axes.texts[0].get_text()


@pytest.mark.llvm
def test_a_scene_that_cannot_be_traced_is_rows_with_a_reason(suite, tmp_path, monkeypatch):
    def broken(self):
        raise ValueError("no light")

    monkeypatch.setattr(Cup, "describe", broken)
    run_pieces(Rays(**suite.rays["mug"]), tmp_path)
    endings = pd.read_parquet(tmp_path / "endings.parquet")
    assert set(endings.status) == {"crashed"}
    assert set(endings.piece) == {"still", *ARMS}
    assert endings.reason.str.contains("no light").all()
