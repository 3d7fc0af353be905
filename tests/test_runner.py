"""The runner: exact budget, status rows instead of lost runs, resumed = uninterrupted, twice = equal."""

from __future__ import annotations

import math

import pytest
import torch

from benchmarks.analytic.quadratic import Quadratic
from benchmarks.harness import runner
from benchmarks.harness.loop import Limits
from benchmarks.harness.runner import run
from methods.base import Descent, Evaluation, Method, Stopped
from methods.evolution_strategy import EvolutionStrategy

LIMITS = Limits(evaluations=200, seconds=30)


class Misbehaving(Quadratic):
    """A quadratic that answers badly after some evaluations."""

    grad_cost = 3.0

    def setup(self, answer: str = "nan", after: int = 64) -> None:
        super().setup(dim=4, condition=10.0)
        self.answer, self.after, self.seen = answer, after, 0

    def validate(self, z):
        return {"loss": float(z.square().sum())}

    def loss(self, z, seed):
        self.seen += len(z)
        if self.seen > self.after:
            if self.answer == "raise":
                raise RuntimeError("the renderer lost its context")
            if self.answer == "memory":
                torch.empty(2**50)
            return torch.full((len(z),), float(self.answer))
        return super().loss(z, seed)


class Eager(Method):
    """Returns whatever a test wants it to."""

    def setup(
        self, shape: tuple[int, ...] = (3, 4), value: float = 0.0, stop: bool = False, endless: bool = False
    ) -> None:
        self.shape, self.value, self.stop, self.endless = shape, value, stop, endless

    def ask(self):
        if self.stop:
            raise Stopped("flat")
        while self.endless:
            pass
        return torch.full(self.shape, self.value)

    def tell(self, z, evaluation: Evaluation) -> None:
        assert evaluation.loss.shape == z.shape[:1]

    def incumbent(self):
        return self.space.start


class Gradient(Descent):
    needs = "gradient"

    def setup(self, lr: float = 0.1) -> None:
        self.start_descent(lr)

    def ask(self):
        return self.theta[None]

    def tell(self, z, evaluation):
        self.descend(evaluation.gradient[0], asked=1)


def go(problem, method=EvolutionStrategy, limits=LIMITS, **kwargs):
    params = kwargs.pop("params", {})
    return run(problem, method, params, limits, task="task", label="label", replicate=0, **kwargs)


def test_budget_is_exact_and_curve_is_monotone():
    result = go(Quadratic(dim=4), limits=Limits(203, 30))
    assert result.status == "finished"
    assert result.row["n_evals"] == 192  # 12 whole batches of 16
    costs = [point["cost"] for point in result.curve if point["metric"] == "loss"]
    assert costs[0] == 0
    assert costs[-1] == 192
    assert costs == sorted(set(costs))
    assert result.row["loss_final"] < result.row["loss_start"]
    assert result.row["loss_final"] == pytest.approx(float(Quadratic(dim=4).loss(result.incumbent[None], 0)))


def test_gradients_are_charged():
    problem = Quadratic(dim=4)
    result = go(problem, Gradient, Limits(100, 30))
    assert result.row["n_evals"] == result.row["n_grads"] == 33
    assert result.row["cost"] == 33 * (1 + problem.grad_cost)
    cosines = [point["value"] for point in result.curve if point["metric"] == "gradient_cosine"]
    assert cosines
    assert min(cosines) > 0.999


def test_twice_is_equal():
    first, second = go(Quadratic(dim=4)), go(Quadratic(dim=4))
    assert [p for p in first.curve if p["metric"] == "loss"][-1]["value"] == second.row["loss_final"]
    assert torch.equal(first.incumbent, second.incumbent)


def test_methods_share_the_start_and_replicates_do_not():
    problem = Quadratic(dim=4)
    runs = [
        run(problem, EvolutionStrategy, {}, LIMITS, task="task", label=label, replicate=replicate)
        for label, replicate in (("a", 0), ("b", 0), ("a", 1))
    ]
    start = [result.row["loss_start"] for result in runs]
    assert start[0] == start[1]
    assert not torch.equal(runs[0].incumbent, runs[1].incumbent)
    assert not torch.equal(runs[0].incumbent, runs[2].incumbent)


@pytest.mark.parametrize(
    ("answer", "status", "word"),
    [
        ("nan", "invalid_loss", "nan"),
        ("inf", "invalid_loss", "inf"),
        ("raise", "crashed", "the renderer lost its context"),
        ("memory", "out_of_memory", "memory"),
    ],
)
def test_a_task_that_breaks_is_a_row(answer, status, word):
    result = go(Misbehaving(answer=answer))
    assert result.status == status
    assert word in result.reason
    assert 0 < result.row["n_evals"] < LIMITS.evaluations
    assert math.isnan(result.row["loss_final"])
    assert result.curve, "what was measured before is kept"


def test_a_task_that_breaks_at_the_start_is_a_row():
    result = go(Misbehaving(answer="raise", after=0))
    assert result.status == "crashed"
    assert result.row["phase"] == "loss"
    assert result.row["n_evals"] == 0


@pytest.mark.parametrize(
    ("params", "status", "word"),
    [
        ({"value": math.nan}, "diverged", "not finite"),
        ({"stop": True}, "stopped", "flat"),
        ({"shape": (300, 4)}, "unsupported", "one batch costs 300 of 200"),
    ],
)
def test_a_method_that_ends_early_is_a_row(params, status, word):
    result = go(Quadratic(dim=4), Eager, params=params)
    assert result.status == status
    assert word in result.reason


def test_a_diverging_method_is_not_blamed_on_the_task():
    result = go(Misbehaving(answer="inf", after=1), Eager, params={"value": 1e30})
    assert result.status == "diverged"


@pytest.mark.parametrize("shape", [(4,), (3, 5), (0, 4)])
def test_a_bug_is_a_row(shape):
    result = go(Quadratic(dim=4), Eager, params={"shape": shape})
    assert (result.status, result.row["phase"]) == ("crashed", "ask")
    assert "ask returned" in result.reason


def test_needs_are_checked():
    problem = Quadratic(dim=4)
    problem.gradient = "none"
    assert go(problem, Gradient).reason == "the task has no gradient"

    class NeedsPicture(Eager):
        needs = "picture"

    assert "no picture" in go(Quadratic(dim=4), NeedsPicture).reason


def test_time_limit():
    result = go(Quadratic(dim=4), limits=Limits(10**9, 0.05))
    assert result.status == "timeout"
    assert "ten times what the dearest run may take" in result.reason
    assert math.isnan(result.row["loss_final"])  # what a clock ended has no score


def test_what_is_predicted_to_take_too_long_is_not_begun():
    result = go(Quadratic(dim=4), limits=Limits(10**9, 1e6, predicted_s=60.0, elsewhere="config/long.yaml"))
    assert (result.status, result.row["n_evals"], result.row["phase"]) == ("too_dear", 0, "")
    assert "predicted" in result.reason
    assert "0.0167 h here; config/long.yaml has it" in result.reason
    assert math.isfinite(result.row["loss_start"])


def test_an_endless_step_is_ended(monkeypatch):
    monkeypatch.setattr(runner, "hard_seconds", lambda seconds: 0.2)
    result = go(Quadratic(dim=4), Eager, params={"endless": True})
    assert result.status == "timeout"
    assert "single step" in result.reason


class Killed(BaseException):
    pass


def test_killed_and_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    whole = go(Quadratic(dim=4))
    monkeypatch.setattr(runner, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(runner, "SAVE_SPARING", 0.0)
    state = tmp_path / "run.state"

    def kill(cost, _loss, _seconds):
        if cost >= 96:
            raise Killed

    with pytest.raises(Killed):
        go(Quadratic(dim=4), state_file=state, fingerprint="x", progress=kill)
    assert state.is_file()
    seen = []
    resumed = go(Quadratic(dim=4), state_file=state, fingerprint="x", progress=lambda cost, *_: seen.append(cost))
    assert seen[0] == 96, "it went on, it did not start again"
    assert torch.equal(resumed.incumbent, whole.incumbent)
    timeless = [[(p["cost"], p["metric"], p["value"]) for p in result.curve] for result in (resumed, whole)]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half of a file"])
def test_a_truncated_state_starts_again(tmp_path, content, capsys):
    state = tmp_path / "run.state"
    state.write_bytes(content)
    assert torch.equal(go(Quadratic(dim=4), state_file=state).incumbent, go(Quadratic(dim=4)).incumbent)
    assert "computed again" in capsys.readouterr().out


def test_a_state_of_other_code_is_ignored(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(runner, "SAVE_SPARING", 0.0)
    state = tmp_path / "run.state"
    go(Quadratic(dim=4), state_file=state, fingerprint="old")
    seen = []
    go(Quadratic(dim=4), state_file=state, fingerprint="new", progress=lambda cost, *_: seen.append(cost))
    assert seen[0] == 16


class Noisy(Quadratic):
    """A quadratic whose answers carry new noise in every batch."""

    noise = "fresh"

    def loss(self, z, seed):
        noise = torch.randn(len(z), generator=torch.Generator().manual_seed(seed))
        return super().loss(z, seed) + 0.1 * noise

    def validate(self, z):
        return {"loss": float(Quadratic.loss(self, z[None], 0))}


def test_fresh_noise_is_new_in_every_batch_and_the_same_in_every_repetition():
    first, second = go(Noisy(dim=4)), go(Noisy(dim=4))
    assert torch.equal(first.incumbent, second.incumbent)
    seeds = []

    class Watched(Noisy):
        def loss(self, z, seed):
            seeds.append(seed)
            return super().loss(z, seed)

    go(Watched(dim=4))
    charged = [seed for seed in seeds if seed]  # warm-up and diagnostics use 0
    assert len(set(charged)) == len(charged) == 12


def test_the_loss_is_logged_at_every_improvement():
    """Failed before: 14 checkpoints for 1,000 evaluations, so a target was hit up to half as late again as it was."""
    costs, losses = {}, {}
    for improvements in (False, True):
        problem = Quadratic(dim=6)
        result = run(
            problem,
            EvolutionStrategy,
            {},
            Limits(600, 30),
            task="t",
            label="m",
            replicate=0,
            checkpoints=4,
            improvements=improvements,
        )
        points = [point for point in result.curve if point["metric"] == "loss"]
        costs[improvements], losses[improvements] = ([p[key] for p in points] for key in ("cost", "value"))
        assert costs[improvements] == sorted(set(costs[improvements]))
    assert len(costs[True]) > 3 * len(costs[False])
    assert costs[True][-1] == costs[False][-1]
    assert losses[True][-1] == losses[False][-1]
    between = [loss for cost, loss in zip(costs[True], losses[True], strict=True) if cost not in costs[False]]
    assert between == sorted(between, reverse=True)  # each a new minimum
