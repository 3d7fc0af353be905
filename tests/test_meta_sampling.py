"""Learned sampling of BRDFs: directions, models, the learner that moves directions, the program and its figure."""

from __future__ import annotations

import json
import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from figure_checks import assert_every_panel_shows_something, assert_nothing_is_cut_off, words
from torch.nn.functional import softplus

from benchmarks.appearance import _analytic, _patterns
from benchmarks.appearance._brdf_models import Lobe, Pca
from benchmarks.appearance._directions import cosines, draw
from benchmarks.appearance.brdf import Brdf
from benchmarks.contract.errors import UsageError
from benchmarks.experiments import sampling
from methods.meta._measured_descent import MeasuredDescent
from methods.meta.base import Budget
from workflow.figures import sampling as figure
from workflow.figures.style import use_style
from workflow.figures.tables import Tables
from workflow.tables.schema import check

mpl.use("agg")
SMALL = {"train": 12, "validation": 2, "test": 4, "samples": 32, "pixels": 16, "components": 4}
SPEC = {
    "suite": "s",
    "family": "brdf",
    "params": SMALL,
    "models": ["phong", "pca"],
    "counts": [1, 4],
    "seeds": [0],
    "steps": 3,
    "mean_steps": 2,
    "warm_steps": 2,
    "outer_steps": 2,
    "tasks_per_step": 3,
}
each_model = pytest.mark.parametrize("model", sampling.MODELS)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_any_coordinates_are_directions_above_the_horizon():
    wild = 20 * torch.randn(20_000, 3, generator=seeded())
    half, difference = _patterns.vectors(wild)
    for vectors in (half, difference):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(wild)))
    assert min(float(cosine.min()) for cosine in cosines(half, difference)) > 1e-3


def test_coordinates_and_vectors_are_inverse():
    half, difference = draw(2000, seeded())
    inside = torch.minimum(*cosines(half, difference)) > 0.1
    half, difference = half[inside], difference[inside]
    for found, expected in zip(
        _patterns.vectors(_patterns.coordinates(half, difference)), (half, difference), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=3e-3, rtol=0)  # the ends of the angles are cut off


@pytest.mark.parametrize("count", [1, 5, 64])
def test_patterns_are_finite_and_repeatable(count):
    for kind in ("random", "stratified"):
        first, second = (_patterns.pattern(count, kind, seeded(3)) for _ in range(2))
        assert first.shape == (count, 3)
        assert first.isfinite().all()
        assert torch.equal(first, second)
        assert not torch.equal(first, _patterns.pattern(count, kind, seeded(4)))


def test_stratified_patterns_are_spread_out_and_of_the_same_density():
    def estimates(kind):
        """The mean of θ_h θ_d over 128 directions, many times."""
        values = []
        for seed in range(60):
            half, difference = _patterns.vectors(_patterns.pattern(128, kind, seeded(seed)))
            values.append(float((half[:, 2].acos() * difference[:, 2].acos()).mean()))
        return np.array(values)

    random, stratified = estimates("random"), estimates("stratified")
    assert stratified.std() < 0.3 * random.std()
    assert abs(stratified.mean() - random.mean()) < 3 * random.std() / math.sqrt(60) + 0.003


@each_model
def test_gradient_of_the_directions_against_finite_differences(model):
    """The loss after two steps of descent on measurements, as a function of where they were taken."""
    family = Brdf(**SMALL, model=model)
    members = family.split.train[:3]
    start = family.initial(1, seeded()).expand(3, -1)
    unseen = family.sample(members, 64, seeded(1))

    rate = 0.1 if model == "nbrdf" else 1.0

    def outer(directions):
        batch, weights = family.measure(members, directions), start.requires_grad_(True)
        for _ in range(2):  # of the squared difference: the absolute one has jumps in its slope
            error = (family._logarithm(weights, batch) - batch["target"]).square().mean((1, 2)).sum()
            (gradient,) = torch.autograd.grad(error, weights, create_graph=True)
            weights = weights - rate * gradient
        return (family._logarithm(weights, unseen) - unseen["target"]).square().mean()

    directions = _patterns.pattern(3, "random", seeded(2)).requires_grad_(True)
    (gradient,) = torch.autograd.grad(outer(directions), directions)
    assert float(gradient.abs().max()) > 0
    step = 1e-2
    towards = gradient / gradient.norm()
    slope = (outer(directions + step * towards) - outer(directions - step * towards)) / (2 * step)
    assert float(slope.detach()) == pytest.approx(float(gradient.norm()), rel=0.1)


def test_measurements_are_the_members_reflectance():
    family = Brdf(**SMALL)
    members, directions = family.split.test, family.pattern(7, "random", seeded())
    batch = family.measure(members, directions)
    half, difference = (vectors.expand(4, -1, -1) for vectors in _patterns.vectors(directions))
    value = _analytic.evaluate(family.materials[members], half, difference)
    torch.testing.assert_close(batch["target"], torch.log1p(cosines(half, difference)[0][..., None] * value))
    own = family.measure(members, torch.stack([directions, directions + 1, directions, directions]))
    assert torch.equal(own["target"][0], batch["target"][0])
    assert not torch.equal(own["target"][1], batch["target"][1])


@each_model
def test_models_learn_a_little(model):
    family = Brdf(**SMALL, model=model)
    members = family.split.test
    weights = family.initial(4, seeded()).requires_grad_(True)
    batch = family.sample(members, 256, seeded(1))
    before = float(family.loss(weights, batch).mean().detach())
    optimizer = torch.optim.Adam([weights], lr=0.05 if model != "nbrdf" else 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        family.loss(weights, batch).sum().backward()
        optimizer.step()
    assert float(family.loss(weights, batch).mean().detach()) < 0.7 * before
    for name, values in family.metrics(weights.detach(), members).items():
        assert values.isfinite().all(), name


def test_phong_in_closed_form():
    """Light at the mirror direction of the viewer: the lobe's peak; its normalisation holds there."""
    weights = torch.tensor([[0.1, -0.5, 1.0, -1.0, 0.0, 0.3, 0.4]])
    tilt = 0.7  # of both directions, in opposite directions: h is the normal
    vectors = torch.tensor([[[0.0, 0.0, 1.0, math.sin(tilt), 0.0, math.cos(tilt)]]])
    roughness = 0.28 + 0.62 / (1 + math.exp(-0.4))
    exponent = 2 / roughness**4 - 2
    expected = softplus(weights[0, :3]) / math.pi + softplus(weights[0, 3:6]) * (exponent + 2) / (2 * math.pi)
    found = Lobe(_analytic.phong, bounded=False).evaluate(weights, vectors)[0, 0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


def test_cook_torrance_in_closed_form():
    """Everything along the normal: D = 1 / (π α²), F = F₀, G = 1."""
    weights = torch.tensor([[0.1, -0.5, 1.0, -1.0, 0.0, 0.3, 0.4]])
    vectors = torch.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0, 1.0]]])
    alpha = (0.28 + 0.62 / (1 + math.exp(-0.4))) ** 2
    expected = softplus(weights[0, :3]) / math.pi + weights[0, 3:6].sigmoid() / (4 * math.pi * alpha**2)
    found = Lobe(_analytic.cook_torrance, bounded=True).evaluate(weights, vectors)[0, 0]
    torch.testing.assert_close(found, expected)


def test_lobes_never_saturate_their_clamps():
    wild = 3 * torch.randn(500, 7, generator=seeded())
    wild.requires_grad_(True)
    vectors = torch.cat(draw(30, seeded(1)), 1).expand(500, -1, -1)
    for lobe in (Lobe(_analytic.phong, bounded=False), Lobe(_analytic.cook_torrance, bounded=True)):
        value = lobe.evaluate(wild, vectors)
        assert float(value.detach().min()) > 0
        (gradient,) = torch.autograd.grad(value.sum(), wild)
        assert gradient.isfinite().all()
        assert (gradient[:, 6] != 0).all()


def test_pca_with_all_components_reproduces_its_members():
    family = Brdf(**{**SMALL, "components": 11}, model="pca")
    half, difference = family.model.directions()
    members = family.split.train
    wanted = torch.log1p(family._everywhere(members, half, difference))
    vectors = torch.cat([half, difference], -1)
    found = family.model.at(vectors[None])[0]  # mean and components
    centred, basis = (wanted - found[0]).flatten(1), found[1:].flatten(1)
    weights = torch.linalg.lstsq(basis.T.double(), centred.T.double()).solution.T.float()
    value = family.model.evaluate(weights, vectors.expand(12, -1, -1))
    torch.testing.assert_close(torch.log1p(value), wanted, atol=5e-3, rtol=0)
    # Between the table's entries it is an interpolation, and still close.
    assert float(family.metrics(weights, members)["log_l1"].mean()) < 0.006
    # The weights that the members have are of unit variance, which is what random initial weights are.
    torch.testing.assert_close(weights.std(0), torch.ones(11), atol=0.02, rtol=0)


def test_pca_with_too_many_components():
    with pytest.raises(UsageError, match="'components' is 12; .* has 1 to 11"):
        Brdf(**{**SMALL, "components": 12}, model="pca")


def test_pca_interpolates_what_is_linear_in_its_table():
    """A material whose log is the first coordinate: exact between entries along the other axes as well."""

    def reference(half, difference):
        theta_h = torch.atan2(half[:, 0], half[:, 2])
        one = torch.expm1((theta_h / _patterns.STEEPEST).sqrt())[None, :, None].expand(1, -1, 3)
        return torch.cat([one, 2 * one])

    basis = Pca(reference, 1)
    half, difference = _patterns.vectors(_patterns.pattern(200, "random", seeded()))
    mean = basis.at(torch.cat([half, difference], 1)[None])[0, 0]
    share = (torch.atan2(half[:, 0], half[:, 2]) / _patterns.STEEPEST).sqrt()
    expected = 0.5 * (share + torch.log1p(2 * torch.expm1(share)))
    torch.testing.assert_close(mean, expected[:, None].expand(-1, 3), atol=2e-3, rtol=0)


class Spike:
    """Tasks on a line: the target is a member's number where u > 0 and nothing elsewhere; the model is a constant."""

    device, n_weights, samples = torch.device("cpu"), 1, 4
    training_members = torch.arange(1, 9)

    def initial(self, count, generator):
        return torch.zeros(count, 1)

    def pattern(self, n, kind, generator):
        return torch.full((n, 3), -0.5)

    def measure(self, members, directions):
        place = directions.expand(len(members), -1, -1)[..., 0]
        return {"target": members[:, None] / 4 * (4 * place).sigmoid()}

    def sample(self, members, n, generator):
        return {"target": (members[:, None] / 4).expand(-1, n)}

    def loss(self, weights, batch):
        return (weights - batch["target"]).square().mean(1)


def test_learned_directions_move_to_where_the_members_differ():
    learned, fixed = MeasuredDescent(n=2, inner_rate=0.3, inner_steps=3), MeasuredDescent(
        n=2, directions=False, inner_rate=0.3, inner_steps=3
    )  # fmt: skip
    places = {}
    for name, learner in (("learned", learned), ("fixed", fixed)):
        state = learner.train(Spike(), Budget(300 * 8 * 6), 0)
        places[name] = (state["loss"], state["learned"].get("directions"))
    assert float((places["learned"][1] * learned.scale)[:, 0].min()) > -0.2, "they began at −.5"
    assert places["learned"][0] < places["fixed"][0]


def test_training_begins_where_it_is_told():
    learner = MeasuredDescent(n=1)
    learner.begin_at({"start": torch.ones(1), "log_rates": torch.full((1,), -7.0), "directions": torch.ones(1, 3)})
    begun = learner.begin(Spike(), seeded())
    assert begun["start"] == 1
    assert begun["log_rates"] == -7
    assert torch.equal(begun["directions"] * learner.scale, torch.ones(1, 3))


def test_program_writes_its_table_and_keeps_what_is_finished(tmp_path, capsys):
    spec = sampling.Sampling.from_json(json.dumps(SPEC))
    sampling.run_sampling(spec, tmp_path)
    first = pd.read_parquet(tmp_path / sampling.TABLE)
    check(first, "sampling")
    assert len(first) == 2 * 4 * 2 * 1 * 4 * 4  # models, methods, counts, seeds, members, metrics
    assert first.value.notna().all()
    costs = first.groupby("method").train_samples.max()
    assert costs["meta"] == costs["learned"] > costs["random"] == costs["stratified"] > 0
    assert capsys.readouterr().out.count("log-L1") == 16
    (tmp_path / "pca_learned_4_0.json").write_text("{half")
    sampling.run_sampling(spec, tmp_path)
    assert capsys.readouterr().out.count("log-L1") == 1
    second = pd.read_parquet(tmp_path / sampling.TABLE)
    pd.testing.assert_frame_equal(first.drop(columns="train_s"), second.drop(columns="train_s"))
    sampling.run_sampling(sampling.Sampling.from_json(json.dumps({**SPEC, "steps": 4, "models": ["pca"]})), tmp_path)
    assert capsys.readouterr().out.count("log-L1") == 8, "other settings: computed anew"


def test_adam_may_take_more_steps_than_the_learners():
    spec = sampling.Sampling.from_json(json.dumps({**SPEC, "mean_steps": 100, "fit_steps": 200}))
    bench = sampling.Bench(spec, "pca", 0)
    members = bench.family.split.test
    long = bench.family.metrics(bench.fit("random", 64)[0], members)["log_l1"].mean()
    bench.spec = sampling.Sampling.from_json(json.dumps({**SPEC, "fit_steps": 3}))
    assert float(long) < 0.8 * float(bench.family.metrics(bench.fit("random", 64)[0], members)["log_l1"].mean())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": ["pca"]}, "'model'; did you mean 'models'"),
        ({"models": ["phonk"]}, "unknown model 'phonk'; did you mean 'phong'"),
        ({"methods": ["learnt"]}, "did you mean 'learned'"),
        ({"counts": []}, "'counts' must not be empty"),
        ({"counts": [0, 1]}, "'counts' is 0, must be at least 1"),
        ({"outer_steps": 0}, "'outer_steps' is 0"),
        ({"params": {"model": "pca"}}, "given by 'models'"),
        ({"params": {"trains": 3}}, "did you mean 'train'"),
    ],
)
def test_bad_specifications(tmp_path, change, message):
    with pytest.raises(UsageError, match=message):
        sampling.run_sampling(sampling.Sampling.from_json(json.dumps({**SPEC, **change})), tmp_path)


def by_hand():
    """A table whose errors fall with n: learned best, `phong` flat."""
    factor = {"random": 4.0, "stratified": 3.0, "meta": 2.0, "learned": 1.0}
    return pd.DataFrame(
        [
            {
                "suite": "s", "family": "brdf", "model": model, "method": method, "n": n, "seed": seed,
                "member": f"m{m}", "metric": metric, "train_samples": 10, "train_s": 1.0,
                "value": scale * factor[method] * (1 + 0.1 * m + 0.01 * seed) / (n**0.5 if model != "phong" else 1),
            }
            for model in sampling.MODELS for method in sampling.METHODS for n in (1, 8, 64, 512)
            for seed in (0, 1) for m in range(5) for metric, scale in (("log_l1", 0.02), ("psnr", 10.0))
        ]
    )  # fmt: skip


def test_figure_by_hand(tmp_path):
    table = by_hand()
    table.loc[(table.member == "m4") & (table.n == 1) & (table.model == "pca"), "value"] = float("nan")
    check(table, "sampling").to_parquet(tmp_path / "sampling.parquet")
    use_style()
    drawn = figure.draw(Tables(tmp_path), figure.Options())
    assert_every_panel_shows_something(drawn)
    assert_nothing_is_cut_off(drawn)
    assert [axes.get_title() for axes in drawn.axes] == ["Phong", "Cook–Torrance", "PCA", "NBRDF"]
    assert "5 test members" in words(drawn)
    lines = {line.get_color(): line for line in drawn.axes[3].lines}
    learned = lines[figure.LOOKS["learned"][1]]
    np.testing.assert_allclose(learned.get_ydata(), 0.02 * 1.205 / np.sqrt([1, 8, 64, 512]))
    one = figure.draw(Tables(tmp_path), figure.Options(models=["pca"], methods=["meta"], metric="psnr"))
    assert len(one.axes) == 1
    assert one.axes[0].get_yscale() == "linear"


def test_figure_of_what_is_not_there(tmp_path):
    by_hand().to_parquet(tmp_path / "sampling.parquet")
    with pytest.raises(UsageError, match="did you mean 'psnr'"):
        figure.draw(Tables(tmp_path), figure.Options(metric="psnrs"))
    with pytest.raises(UsageError, match="has no 'dssim'"):
        figure.draw(Tables(tmp_path), figure.Options(metric="dssim"))
    with pytest.raises(UsageError, match="unknown family"):
        figure.draw(Tables(tmp_path), figure.Options(family="clouds"))
