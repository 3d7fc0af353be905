"""Samplers of diffusion models: laws, samplers, distances, the program that compares them, its tables and figures."""

from __future__ import annotations

import json
import math

import matplotlib as mpl
import pandas as pd
import pytest
import torch
from figure_checks import assert_every_panel_shows_something, assert_nothing_is_cut_off

from benchmarks.experiments import diffusion
from benchmarks.experiments.distances import Sliced, frechet, moments, precision_recall
from benchmarks.experiments.gaussian_order import spread_error
from benchmarks.harness.pieces import run_pieces
from benchmarks.harness.registry import law_class, sampler_class
from benchmarks.harness.rooms import law_names, sampler_names
from benchmarks.sampling import _train
from methods.diffusion.base import LEVEL_MAX, LEVEL_MIN, SPACINGS, level_of_time, spaced, time_of_level
from methods.diffusion.family import Family
from methods.diffusion.heun import Heun
from methods.diffusion.time_shift import TimeShift, share_of_noise
from methods.diffusion.unipc import Unipc
from workflow.figures.__main__ import make
from workflow.figures.diffusion import Options, draw
from workflow.figures.style import use_style
from workflow.figures.tables import Tables
from workflow.suite import Suite
from workflow.tables.__main__ import make_tables
from workflow.tables.written import write

mpl.use("agg")
DDIM, DDPM = Family(q=0.0), Family(q=1.0)
TWO_M, SDE_TWO_M = Family(q=0.0, memory=0.5), Family(q=1.0, memory=0.5)
AHEAD = {q: Family(q=q, ahead=(1 + q) / 4) for q in (0.0, 0.5, 1.0)}
SAMPLERS = {"ddim": DDIM, "ddpm": DDPM, "2m": TWO_M, "sde_2m": SDE_TWO_M, "heun": Heun(), "unipc": Unipc()}
SAMPLERS |= {f"ahead_{q}": sampler for q, sampler in AHEAD.items()}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def clusters():
    return law_class("clusters")()


def run(sampler, law, levels, n, seed=0):
    """Draws (n, dim), all states on the way, and how often the denoiser was asked."""
    generator, asked = seeded(seed), []

    def denoise(y, v):
        asked.append(v)
        return law.denoise(y, v)

    def normal():
        return torch.randn(n, law.dim, generator=generator, dtype=torch.float64).to(law.dtype)

    *way, last = sampler.run(denoise, levels[0] * normal(), levels, normal)
    return last, way, asked


# Laws


@pytest.mark.parametrize("name", ["clusters", "digit_mixture"])
@pytest.mark.parametrize("v", [0.05, 0.7, 5.0])
def test_denoiser_is_the_score_of_the_mixture(name, v):
    """Tweedie: E[x | y] = y + v² ∇ log p_v(y), by autograd of the log density."""
    law = law_class(name)()
    x = law.draw(20, seeded())
    y = (x + v * torch.randn(x.shape, generator=seeded(1), dtype=x.dtype)).requires_grad_(True)
    (score,) = torch.autograd.grad(law.mixture.log_density(y, v).sum(), y)
    torch.testing.assert_close(law.denoise(y.detach(), v), y.detach() + v**2 * score, rtol=1e-7, atol=1e-8)


def test_draws_have_the_mixture_s_moments():
    mixture = law_class("digit_mixture")().mixture
    weights = mixture.log_weights.exp()
    mean = weights @ mixture.means
    apart = mixture.means - mean
    covariances = mixture.axes @ (mixture.variances[:, :, None] * mixture.axes.transpose(1, 2))
    covariance = torch.einsum("k,kde->de", weights, covariances + apart[:, :, None] * apart[:, None, :])
    found_mean, found = moments(mixture.draw(20_000, seeded()))
    torch.testing.assert_close(found_mean, mean, rtol=0, atol=5 * 0.75 / math.sqrt(20_000))
    assert float((found - covariance).abs().max()) < 0.03


@pytest.mark.parametrize("name", law_names())
def test_levels_of_their_own_for_every_value(name):
    law = law_class(name)()
    y, v = law.draw(6, seeded()), torch.tensor([0.1, 0.2, 0.5, 1.0, 2.0, 9.0], dtype=law.dtype)
    each = torch.cat([law.denoise(y[i : i + 1], float(v[i])) for i in range(6)])
    torch.testing.assert_close(law.denoise(y, v), each, rtol=1e-4, atol=1e-5)
    assert law.source


def test_the_trained_network_denoises():
    law = law_class("digit_network")()
    x = law.draw(500, seeded())
    y = x + 0.5 * torch.randn(x.shape, generator=seeded(1))
    assert float((law.denoise(y, 0.5) - x).square().mean()) < 0.3 * 0.5**2
    assert law.card["classifier_accuracy"] > 0.95
    assert law.features(x).shape == (500, 32)


def test_training_writes_what_the_law_reads(tmp_path, monkeypatch):
    _train.train(tmp_path / "weights.pt", steps=40, classifier_steps=5)
    monkeypatch.setattr("benchmarks.sampling.digit_network.WEIGHTS", tmp_path / "weights.pt")
    law = law_class("digit_network")()
    assert law.card["steps"] == 40
    assert law.denoise(law.draw(3, seeded()), 1.0).isfinite().all()


# Samplers


def test_spacings_fall_from_the_first_level_to_the_last():
    for name in SPACINGS:
        levels = spaced(name, 9)
        assert levels == sorted(levels, reverse=True)
        assert levels[0] == pytest.approx(LEVEL_MAX)
        assert levels[-1] == pytest.approx(LEVEL_MIN)
    assert time_of_level(level_of_time(0.37)) == pytest.approx(0.37)


def test_ddim_is_a_member():
    """x′ = α′ x̂ + σ′ ε̂ (Song et al. 2021, Eq. 12 with η = 0) in variance-preserving coordinates."""
    law, levels = clusters(), spaced("time", 7)
    found, way, _ = run(DDIM, law, levels, 50)
    y = levels[0] * torch.randn(50, 2, generator=seeded(), dtype=torch.float64)
    x = y / math.sqrt(1 + levels[0] ** 2)
    for now, then, state in zip(levels[:-1], levels[1:], way, strict=True):
        alpha, alpha_then = 1 / math.sqrt(1 + now**2), 1 / math.sqrt(1 + then**2)
        clean = law.denoise(x / alpha, now)
        noise = (x - alpha * clean) / (now * alpha)
        x = alpha_then * clean + then * alpha_then * noise
        torch.testing.assert_close(state * alpha_then, x)
    torch.testing.assert_close(found, law.denoise(x / alpha_then, levels[-1]))


def test_dpm_solver_is_a_member():
    """x′ = (σ′/σ) x − α′ (e^{−h} − 1) ((1 + 1/(2r)) D − D₋/(2r)) (Lu et al. 2022, Algorithm 2)."""
    law, levels = clusters(), spaced("karras", 7)
    _, way, _ = run(TWO_M, law, levels, 50)
    y = levels[0] * torch.randn(50, 2, generator=seeded(), dtype=torch.float64)
    last = last_h = None
    for now, then, state in zip(levels[:-1], levels[1:], way, strict=True):
        alpha, alpha_then = 1 / math.sqrt(1 + now**2), 1 / math.sqrt(1 + then**2)
        h = math.log(now / then)
        answer = law.denoise(y, now)
        r = None if last is None else last_h / h
        used = answer if last is None else (1 + 1 / (2 * r)) * answer - last / (2 * r)
        x = (then * alpha_then) / (now * alpha) * (alpha * y) - alpha_then * math.expm1(-h) * used
        last, last_h, y = answer, h, x / alpha_then
        torch.testing.assert_close(state, y)


def test_a_ddpm_step_is_the_posterior():
    """Given x, the step from y has mean and variance of q(y′ | y, x), a product of two Gaussians."""
    now, then, x = 3.0, 1.2, torch.full((20_000, 1), 0.4, dtype=torch.float64)
    generator = seeded()
    normal = lambda: torch.randn(20_000, 1, generator=generator, dtype=torch.float64)  # noqa: E731
    y = torch.full_like(x, 2.0)
    after, _ = DDPM.run(lambda *_: x, y, [now, then], normal)
    precision = 1 / then**2 + 1 / (now**2 - then**2)
    mean = (0.4 / then**2 + 2.0 / (now**2 - then**2)) / precision
    assert float(after.mean()) == pytest.approx(mean, abs=5 * precision**-0.5 / math.sqrt(20_000))
    assert float(after.var()) == pytest.approx(1 / precision, rel=0.05)


def test_unipc_integrates_parabolas_exactly():
    h, last, f = 0.7, 0.4, lambda t: 1.5 * t - 0.8 * t * t
    weight = lambda t: torch.exp(t - h)  # noqa: E731
    t = torch.linspace(0, h, 20_001, dtype=torch.float64)
    exact = torch.trapezoid(weight(t) * f(t), t) / -math.expm1(-h)
    back, ahead = torch.tensor(f(-last) / (-last / h)), torch.tensor(f(h))
    assert float(Unipc.parabola(h, last, back, ahead)) == pytest.approx(float(exact), rel=1e-6)


@pytest.mark.parametrize("q", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("spread", [0.3, 2.0])
def test_look_ahead_is_of_second_order_for_gaussian_data_and_frozen_answers_of_first(q, spread):
    def ratio(sampler):
        return spread_error(sampler, 40, spread) / spread_error(sampler, 80, spread)

    assert ratio(AHEAD[q]) == pytest.approx(4, abs=0.15)
    assert ratio(Family(q=q)) == pytest.approx(2, abs=0.15)
    assert ratio(Family(q=q, ahead=0.8 * (1 + q) / 4)) == pytest.approx(2, abs=0.3)  # no other γ will do
    assert abs(spread_error(AHEAD[q], 80, spread)) < 0.1 * abs(spread_error(Family(q=q), 80, spread))


@pytest.mark.parametrize("q", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("ahead", [0.0, 0.3])
def test_impulses_give_the_variance_of_the_recursion(q, ahead):
    """V′ = F² V + v′² (1 − e^{−2qh}), F = e^{−(1+q)h} + (1 − e^{−(1+q)h}) s² / (s² + v² e^{−2γh})."""
    spread, levels = 0.6, spaced("log_snr", 13)
    variance = spread**2 + levels[0] ** 2
    for now, then in zip(levels[:-1], levels[1:], strict=True):
        h = math.log(now / then)
        kept = math.exp(-(1 + q) * h)
        factor = kept + (1 - kept) * spread**2 / (spread**2 + now**2 * math.exp(-2 * ahead * h))
        variance = factor**2 * variance + then**2 * -math.expm1(-2 * q * h)
    expected = math.sqrt(variance / (spread**2 + levels[-1] ** 2)) - 1
    assert spread_error(Family(q=q, ahead=ahead), 12, spread) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("label", SAMPLERS)
def test_with_many_levels_every_sampler_reaches_the_floor(label):
    law, n = clusters(), 1000
    sliced = Sliced(law.draw(20_000, seeded(7)), n, 32, seeded(8))
    floors = [sliced(law.draw(n, seeded(seed))) for seed in range(20, 30)]
    found, *_ = run(SAMPLERS[label], law, spaced("log_snr", 120), n)
    assert sliced(found) < max(floors) + 0.01  # a first-order sampler leaves 0.005 at 120 levels
    coarse, *_ = run(SAMPLERS[label], law, spaced("log_snr", 4), n)
    assert sliced(coarse) > max(floors) + 0.03


@pytest.mark.parametrize("label", SAMPLERS)
@pytest.mark.parametrize("budget", [5, 8])
def test_evaluations_are_those_granted(label, budget):
    sampler = SAMPLERS[label]
    *_, asked = run(sampler, clusters(), spaced("karras", sampler.levels(budget)), 4)
    assert len(asked) == (budget if label != "heun" or budget % 2 else budget - 1)


@pytest.mark.parametrize("kernel", ["pair", "single", "distilled", "over_time", "noise_up", "hysteresis"])
def test_kernels_of_no_width_change_nothing(kernel):
    sampler, levels = Family(q=0.0, kernel=kernel), spaced("karras", 5)
    found, _, asked = run(sampler, clusters(), levels, 8)
    plain, *_ = run(DDIM, clusters(), levels, 8)
    torch.testing.assert_close(found, plain)
    assert len(asked) == 5 * {"pair": 2, "over_time": 2, "distilled": 4}.get(kernel, 1)
    assert sampler.levels(10) == (5 if kernel in ("pair", "over_time") else 10)
    wide, *_ = run(Family(q=0.0, kernel=kernel, width=0.5), clusters(), levels, 8)
    assert not torch.allclose(wide, plain)


def test_a_pair_around_gaussian_data_changes_nothing():
    """Where the score is linear, smoothing it does nothing at all."""

    class Line:
        dim, dtype = 1, torch.float64

        def denoise(self, y, v):
            return y / (1 + v * v)

    levels = spaced("karras", 6)
    found, *_ = run(Family(q=0.0, kernel="pair", width=0.7), Line(), levels, 50)
    plain, *_ = run(DDIM, Line(), levels, 50)
    torch.testing.assert_close(found, plain)


def test_correlated_noise_has_unit_variance():
    generator, noise, sampler = seeded(), None, Family(correlation=0.6)
    seen = []
    for _ in range(4):
        noise = sampler.correlated(noise, lambda: torch.randn(20_000, generator=generator))
        seen.append(noise)
    assert float(noise.var()) == pytest.approx(1, abs=0.05)
    assert float((seen[-1] * seen[-2]).mean()) == pytest.approx(0.6, abs=0.03)


def test_time_shift_takes_the_level_that_the_variance_speaks_for():
    sampler, v = TimeShift(window=0.2, cutoff=0.1), level_of_time(0.5)
    law = law_class("digit_mixture")()
    noise = torch.randn(40, law.dim, generator=seeded(), dtype=torch.float64)
    _, exact = sampler.shifted(v * noise, v)
    seen = (v * noise / math.sqrt(1 + v * v)).var(1, keepdim=True)
    inside = (seen > share_of_noise(level_of_time(0.4))) & (seen < share_of_noise(level_of_time(0.6)))
    assert inside.any()
    torch.testing.assert_close((exact**2 / (1 + exact**2))[inside], seen[inside])
    assert level_of_time(0.4) - 1e-9 <= float(exact.min()) <= float(exact.max()) <= level_of_time(0.6) + 1e-9
    same, levels = sampler.shifted(noise, level_of_time(0.05))
    assert torch.equal(same, noise)
    assert float(levels.unique()) == pytest.approx(level_of_time(0.05))
    assert TimeShift.unsupported(2)
    assert not TimeShift.unsupported(64)


# Distances


def test_sliced_distance_of_shifted_gaussians():
    """Along a ray u the distance of N(0, I) and N(m, I) is |⟨u, m⟩|, so its mean square is ‖m‖² / d."""
    dim, shift = 5, torch.tensor([3.0, 0, 0, 0, 0], dtype=torch.float64)
    reference = torch.randn(20_000, dim, generator=seeded(), dtype=torch.float64)
    sliced = Sliced(reference, 2_000, 400, seeded(1))
    x = torch.randn(2_000, dim, generator=seeded(2), dtype=torch.float64)
    assert sliced(x + shift) == pytest.approx(3 / math.sqrt(dim), rel=0.1)
    assert sliced(x) < 0.06


def test_frechet_distance_in_closed_form():
    mean, other = torch.zeros(2, dtype=torch.float64), torch.tensor([3.0, 4.0], dtype=torch.float64)
    cov, wide = torch.eye(2, dtype=torch.float64), torch.diag(torch.tensor([4.0, 9.0], dtype=torch.float64))
    assert frechet((mean, cov), (other, wide)) == pytest.approx(25 + (2 - 1) ** 2 + (3 - 1) ** 2)
    assert frechet((mean, wide), (mean, wide)) == pytest.approx(0, abs=1e-9)


def test_precision_falls_with_outliers_and_recall_with_missing_modes():
    truth = torch.cat([torch.randn(200, 2, generator=seeded()), torch.randn(200, 2, generator=seeded(1)) + 50])
    half = torch.randn(200, 2, generator=seeded(2))
    precision, recall = precision_recall(half, truth)
    assert precision > 0.9
    assert recall < 0.55
    precision, recall = precision_recall(torch.cat([half, half + 500]), truth)
    assert precision == pytest.approx(0.5, abs=0.06)


# The program, its tables and figures


CONFIG = {
    "suite": "tiny",
    "seeds": 3,
    "diffusion": {
        "budgets": [5, 10],
        "samples": 60,
        "tasks": {"clusters": {}, "digits": {"law": "digit_network", "samples": 50}},
        "samplers": {
            "ddpm": {"algorithm": "family", "budgets": [5, 10, 20]},
            "ahead_ddpm": {"algorithm": "family", "params": {"ahead": 0.5}},
            "ddpm_pair": {
                "algorithm": "family",
                "plain": "ddpm",
                "params": {"kernel": "pair"},
                "grid": {"width": [0.1, 0.5]},
            },
            "time_shift": {},
        },
    },
    "figures": {"diffusion": {}, "diffusion_order": {}},
}


@pytest.fixture(scope="module")
def suite():
    return Suite("tiny.yaml", CONFIG)


@pytest.fixture(scope="module")
def results(suite, tmp_path_factory):
    """The results of the suite, with tables."""
    folder = tmp_path_factory.mktemp("results")
    for task, spec in suite.diffusion.items():
        asked = diffusion.Diffusion.from_json(json.dumps(spec))
        run_pieces(asked, folder / "diffusion" / task)
    write(make_tables(suite, folder), folder / "tables")
    return folder


@pytest.mark.xdist_group("diffusion")
class TestSuite:
    def test_tables_tell_everything(self, suite, results):
        table = pd.read_csv(results / "tables" / "diffusion.csv")
        assert (table[table.sampler == "ddpm"].nfe == table[table.sampler == "ddpm"].budget).all()
        assert set(table[(table.sampler == "ddpm_pair") & (table.budget == 5)].nfe) == {4}
        assert set(table.metric) == {"sliced_w2", "frechet", "precision", "recall", "path_length"}
        assert (table[table.metric == "path_length"].value >= 1).all()  # no way is shorter than the straight one
        assert table[table.metric == "sliced_w2"].floor.gt(0).all()
        choices = pd.read_csv(results / "tables" / "diffusion_choices.csv")
        refused = choices[choices.status == "unsupported"]
        assert set(refused.task + refused.sampler) == {"clusterstime_shift"}
        tried = pd.read_csv(results / "tables" / "diffusion_tried.csv")
        counts = tried.groupby(["task", "sampler", "budget"]).size()
        assert counts["clusters", "ddpm", 5] == len(SPACINGS)
        assert counts["digits", "ddpm_pair", 10] == 2 * len(SPACINGS)
        claims = pd.read_csv(results / "tables" / "claims.csv").set_index("id")
        assert claims.loc["diffusion/ahead_ddpm/ddpm/exact/sliced_w2", "verdict"] == "holds"
        assert claims.loc["diffusion/smoothing/ddpm_pair", "verdict"] == "does not hold"
        assert claims.loc["diffusion/order/ahead_ddpm", "verdict"] == "holds"
        assert claims.loc["diffusion/ahead_ddim/unipc/exact/sliced_w2", "verdict"] == "not tested"
        reach = pd.read_csv(results / "tables" / "diffusion_reach.csv").set_index(["task", "sampler", "metric"])
        of_ddpm = table[(table.task == "digits") & (table.sampler == "ddpm") & (table.metric == "sliced_w2")]
        medians, found = of_ddpm.groupby("budget").value.median(), reach.loc[("digits", "ddpm", "sliced_w2")]
        assert found.target == medians[20]
        assert found.budget == medians.index[medians <= medians[20]].min()

    def test_figures_are_whole(self, results, tmp_path):
        use_style()
        shown = draw(Tables(results / "tables"), Options())
        assert_every_panel_shows_something(shown)
        assert_nothing_is_cut_off(shown)
        assert len(shown.axes) == 6  # two laws, one of them with a second distance; plain and smoothed
        for name in CONFIG["figures"]:
            assert all(path.stat().st_size > 5000 for path in make(name, results / "tables", {}, tmp_path / "f.pdf"))

    def test_what_is_finished_is_kept(self, suite, results, monkeypatch):
        spec = diffusion.Diffusion.from_json(json.dumps(suite.diffusion["clusters"]))
        out = results / "diffusion" / "clusters"
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        spec.file(out, "ahead_ddpm").unlink()
        ran = []
        whole = diffusion.run_sampler
        monkeypatch.setattr(diffusion, "run_sampler", lambda bench, label: ran.append(label) or whole(bench, label))
        run_pieces(spec, out)
        assert ran == ["ahead_ddpm"]
        again = pd.read_parquet(out / "values.parquet")
        pd.testing.assert_frame_equal(again, pd.read_csv(results / "tables" / "diffusion.csv").query(
            "task == 'clusters'").reset_index(drop=True), check_dtype=False)  # fmt: skip
        assert before["ddpm.json"] == spec.file(out, "ddpm").read_bytes()


def test_a_sampler_that_breaks_is_rows_with_a_reason(suite, tmp_path, monkeypatch):
    def broken(self, *arguments):
        raise ValueError("out of luck")

    monkeypatch.setattr(Family, "run", broken)
    content = {**suite.diffusion["clusters"], "samplers": {"ddpm": {"algorithm": "family"}}}
    run_pieces(diffusion.Diffusion(**content), tmp_path)
    choices = pd.read_parquet(tmp_path / "choices.parquet")
    assert set(choices.status) == {"crashed"}
    assert choices.reason.str.contains("out of luck").all()
    assert list(choices.budget) == [5, 10]


@pytest.mark.parametrize("name", sampler_names())
def test_samplers_say_what_they_are(name):
    told = sampler_class(name).told()
    assert told.look.name
    assert sampler_class(name)().levels(9) >= 4
