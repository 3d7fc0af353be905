"""The contract that every learner and family keeps, and the mathematics of the learners, checked independently."""

from __future__ import annotations

import copy

import pytest
import torch

from benchmarks.contract import parameters
from benchmarks.contract.errors import UsageError
from benchmarks.contract.family import split_members
from benchmarks.harness.registry import family_class, learner_class
from benchmarks.harness.rooms import family_names, learner_names, task_names
from methods.meta import learned_curvature
from methods.meta.anil import Anil
from methods.meta.base import Budget, split
from methods.meta.finetune import Finetune
from methods.meta.fomaml import Fomaml
from methods.meta.learned_curvature import LearnedCurvature
from methods.meta.learned_optimizer import LearnedOptimizer
from methods.meta.learned_schedule import LearnedSchedule
from methods.meta.maml import Maml
from methods.meta.overfit import Overfit
from methods.meta.reptile import Reptile

MEMBERS = {"train": 8, "validation": 2, "test": 4}
SMALL = {
    "brdf": {**MEMBERS, "samples": 32, "pixels": 32},
    "svbrdf_stationary": {**MEMBERS, "pixels": 32, "crop": 20, "channels": 4, "depth": 2, "filters": 4},
    "svbrdf_nonstationary": {**MEMBERS, "samples": 64, "pixels": 32, "channels": 4, "depth": 2},
    "illumination": {**MEMBERS, "members": "area_lights", "samples": 32, "pixels": 32, "height": 8},
    "transport": {**MEMBERS, "samples": 64, "pixels": 16, "spp": 4, "hidden": 8},
    "texture": {**MEMBERS, "pixels": 40, "crop": 40, "channels": 4, "depth": 1},
}
each_family = pytest.mark.parametrize("family", family_names())
each_learner = pytest.mark.parametrize("learner", learner_names())


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small(family):
    return family_class(family)(**SMALL[family])


class Parabolas:
    """Tasks with known answers: L(w) = ½ Σ c (w − target)², member i with a target of its own."""

    device = torch.device("cpu")
    n_weights = 3
    head = torch.tensor([False, False, True])
    samples = 2
    steps = 10
    curvature = torch.tensor([0.5, 1.0, 2.0])

    def __init__(self):
        self.targets = torch.randn(20, 3, generator=seeded(5)) + torch.tensor([3.0, -2.0, 1.0])
        self.seen = set()

    @property
    def training_members(self):
        return torch.arange(16)

    def initial(self, count, generator):
        return torch.randn(count, 3, generator=generator)

    def sample(self, members, n, generator):
        self.seen |= set(members.tolist())
        return {"target": self.targets[members][:, None].expand(-1, n, -1)}

    def loss(self, weights, batch):
        return 0.5 * (self.curvature * (weights[:, None] - batch["target"]) ** 2).sum(2).mean(1)


class Noisy(Parabolas):
    """L(w) = mean |w − target + noise|: its gradient does not shrink near the optimum."""

    def sample(self, members, n, generator):
        exact = super().sample(members, n, generator)["target"]
        return {"target": exact + 0.3 * torch.randn(exact.shape, generator=generator)}

    def loss(self, weights, batch):
        return (weights[:, None] - batch["target"]).abs().mean((1, 2))


def quick(learner):
    """The learner, with a short inner loop if it has one."""
    kind = learner_class(learner)
    return kind(**({"inner_steps": 3} if "inner_steps" in parameters.defaults(kind.setup) else {}))


def budget_of(learner, steps, tasks):
    """The training samples of so many outer steps."""
    probe = learner.train(tasks, Budget(1), 0)  # ends after the first
    return Budget(steps * max(probe["samples"], 1))


def test_discovery():
    assert "brdf" in family_names()
    assert {"maml", "fomaml", "reptile", "learned_schedule"} <= set(learner_names())
    assert {"general", "overfit", "finetune", "random_init"} <= set(learner_names())
    assert not [name for name in task_names() if name.startswith("appearance.")]
    for name in learner_names():
        parameters.check(learner_class(name).setup, {}, name)
    with pytest.raises(UsageError, match="did you mean 'maml'"):
        learner_class("mamml")
    with pytest.raises(UsageError, match="unknown family"):
        family_class("smell")


@each_family
def test_family_is_what_the_contract_says(family):
    tasks = small(family)
    parts = [tasks.split.train, tasks.split.validation, tasks.split.test]
    everybody = torch.cat(parts)
    assert len(set(everybody.tolist())) == len(everybody), "a member in two parts"
    assert int(everybody.max()) < len(tasks.names)
    assert tasks.source
    members, count = tasks.split.test, len(tasks.split.test)
    weights = tasks.initial(count, seeded())
    assert weights.shape == (count, tasks.n_weights)
    assert not torch.equal(weights[0], weights[1])
    theirs = torch.get_rng_state()
    batch = tasks.sample(members, 6, seeded())
    assert all(value.shape[:2] == (count, 6) for value in batch.values())
    again = tasks.sample(members, 6, seeded())
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    loss = tasks.loss(weights, batch)
    alone = [tasks.loss(weights[i : i + 1], {k: v[i : i + 1] for k, v in batch.items()}) for i in range(count)]
    torch.testing.assert_close(loss, torch.cat(alone))
    assert loss.shape == (count,)
    halves = torch.stack([tasks.loss(weights, part) for part in split(batch, 2)])
    torch.testing.assert_close(halves.mean(0), loss)
    metrics = tasks.metrics(weights, members)
    assert tasks.metric in metrics
    assert all(value.shape == (count,) and value.isfinite().all() for value in metrics.values())
    member = int(members[0])
    shown, wanted = tasks.picture(weights[0], member), tasks.reference_picture(member)
    assert shown.shape == wanted.shape
    assert 0 <= float(shown.min()) <= float(shown.max()) <= 1
    assert torch.equal(theirs, torch.get_rng_state())


@each_family
def test_more_training_members_leave_the_test_members(family):
    tasks = small(family)
    other = family_class(family)(**{**SMALL[family], "pixels": 2 * SMALL[family]["pixels"]})
    assert torch.equal(tasks.split.test, other.split.test)
    few, many = split_members(100, 10, 5, 20, "f"), split_members(100, 70, 5, 20, "f")
    assert torch.equal(few.test, many.test)
    assert torch.equal(few.train, many.train[:10])


@each_family
@each_learner
def test_trains_adapts_and_goes_on(family, learner, tmp_path):
    tasks, method = small(family), quick(learner)
    budget = budget_of(method, 4, tasks)
    steps = []
    whole = method.train(tasks, budget, 3, progress=lambda state: steps.append(copy.deepcopy(state)))
    if method.trains:
        assert len(steps) == 4
        assert whole["samples"] == budget.samples
        torch.save(steps[1], tmp_path / "state.pt")
        resumed = quick(learner).train(tasks, budget, 99, torch.load(tmp_path / "state.pt", weights_only=True))
        for name, value in whole["learned"].items():
            assert value.isfinite().all()
            assert torch.equal(value, resumed["learned"][name]), name
    torch.save(whole, tmp_path / "state.pt")
    members = tasks.split.test
    path = list(method.adapt(torch.load(tmp_path / "state.pt", weights_only=True), tasks, members, 3))
    again = list(method.adapt(whole, tasks, members, 3))
    assert [a.step for a in path] == [0, 1, 2, 3]
    assert [a.samples for a in path] == [i * tasks.samples for i in range(4)]
    assert path[0].seconds == 0 < path[1].seconds < path[3].seconds
    for first, second in zip(path, again, strict=True):
        assert first.weights.shape == (len(members), tasks.n_weights)
        assert torch.equal(first.weights, second.weights)
    moved = not torch.equal(path[0].weights, path[3].weights)
    assert moved == (learner != "general")
    alone = list(method.adapt(whole, tasks, members[:1], 0))[0]
    torch.testing.assert_close(alone.weights, path[0].weights[:1])


RATE, STEPS = 0.1, 3


@pytest.mark.parametrize("cls", [Maml, Fomaml, Reptile])
def test_outer_gradients_are_those_of_the_closed_form(cls):
    """On parabolas the inner loop is (1 − αc)ᵏ towards the target, and all gradients can be written down."""
    tasks = Parabolas()
    learner = cls(inner_rate=RATE, inner_steps=STEPS, tasks_per_step=16)
    learned = {name: value.requires_grad_(True) for name, value in learner.begin(tasks, seeded(1)).items()}
    loss, samples = learner.outer_step(learned, tasks, seeded(2))
    assert samples == 16 * (STEPS + 1) * tasks.samples
    c = tasks.curvature
    away = learned["start"].detach() - tasks.targets[:16]
    shrink = 1 - RATE * c
    last = shrink**STEPS * away
    assert loss == pytest.approx(float((0.5 * c * last**2).sum(1).mean()), rel=1e-5)
    inner = sum(c * shrink**step * away for step in range(STEPS))
    start = {
        Maml: (c * last * shrink**STEPS).mean(0),
        Fomaml: (c * last).mean(0),
        Reptile: (away - last).mean(0),
    }[cls]
    first_order = (c * last * -RATE * inner).mean(0)
    rates = (c * last * -RATE * STEPS * c * shrink ** (STEPS - 1) * away).mean(0) if cls is Maml else first_order
    torch.testing.assert_close(learned["start"].grad, start)
    torch.testing.assert_close(learned["log_rates"].grad, rates)


def test_learned_schedule_has_the_gradient_of_its_judged_losses_with_directions_held_constant():
    tasks = Parabolas()
    learner = LearnedSchedule(inner_steps=8, tasks_per_step=16)
    learned = {name: value.requires_grad_(True) for name, value in learner.begin(tasks, seeded(1)).items()}
    loss, _ = learner.outer_step(learned, tasks, seeded(2))
    weights, update = learned["start"].expand(16, -1), learner.rule(learned, 8)
    judged = []
    for step in range(9):
        if step >= 2:
            judged.append((0.5 * tasks.curvature * (weights - tasks.targets[:16]) ** 2).sum(1).mean())
        weights = update(weights, (tasks.curvature * (weights - tasks.targets[:16])).detach(), step)
    naive = sum(judged) / len(judged)
    assert loss == pytest.approx(float(naive.detach()), rel=1e-5)
    for name, gradient in zip(learned, torch.autograd.grad(naive, list(learned.values())), strict=True):
        torch.testing.assert_close(learned[name].grad, gradient)
        assert float(gradient.abs().max()) > 0, name


def test_meta_sgd_finds_the_curvature():
    """One step with rate 1 / c solves every parabola: what MAML has to find."""
    tasks = Parabolas()
    learner = Maml(inner_rate=RATE, inner_steps=1, outer_rate=0.05)
    state = learner.train(tasks, budget_of(learner, 600, tasks), 0)
    torch.testing.assert_close(state["learned"]["log_rates"].exp(), 1 / tasks.curvature, rtol=0.02, atol=0)
    assert tasks.seen <= set(tasks.training_members.tolist()), "a learner has seen members that are not for training"
    unseen = torch.arange(16, 20)
    *_, last = learner.adapt(state, tasks, unseen, 1)
    torch.testing.assert_close(last.weights, tasks.targets[16:], rtol=0, atol=0.1)


@pytest.mark.parametrize("cls", [Maml, Fomaml, Reptile])
@pytest.mark.parametrize("learn", ["init", "rates"])
def test_what_is_not_learned_stays(cls, learn):
    tasks = Parabolas()
    learner = cls(learn=learn, inner_rate=RATE, inner_steps=STEPS)
    begin, end = learner.train(tasks, Budget(0), 0), learner.train(tasks, budget_of(learner, 20, tasks), 0)
    kept, changed = ("log_rates", "start") if learn == "init" else ("start", "log_rates")
    assert torch.equal(begin["learned"][kept], end["learned"][kept])
    assert not torch.equal(begin["learned"][changed], end["learned"][changed])


@pytest.mark.parametrize("moves", ["head", "body"])
def test_adaptation_leaves_the_other_weights_where_they_are(moves):
    tasks = Parabolas()
    learner = Anil(moves=moves, inner_steps=STEPS)
    state = learner.train(tasks, budget_of(learner, 50, tasks), 0)
    first, *_, last = learner.adapt(state, tasks, torch.tensor([17]), STEPS)
    assert ((last.weights != first.weights)[0] == (tasks.head if moves == "head" else ~tasks.head)).all()
    assert not torch.equal(learner.train(tasks, Budget(0), 0)["learned"]["start"], state["learned"]["start"])


def test_a_model_without_a_last_layer_is_refused():
    tasks = Parabolas()
    tasks.head = None
    with pytest.raises(ValueError, match="no last layer"):
        Anil().train(tasks, Budget(1), 0)


@each_family
def test_the_head_is_what_the_last_layer_is_made_of(family):
    """Without it the model shows the same whatever the other weights are: a last layer of zeros has one output."""
    tasks = small(family)
    weights = tasks.initial(2, seeded()).masked_fill(tasks.head, 0.0)
    shown = [tasks.picture(row, int(tasks.split.test[0])) for row in weights]
    torch.testing.assert_close(*shown)
    assert not tasks.head.all()
    assert tasks.head.shape == (tasks.n_weights,)


def test_a_learned_optimizer_begins_with_normalised_momentum_and_learns_to_beat_it():
    tasks = Parabolas()
    learner = LearnedOptimizer(inner_rate=0.1, outer_rate=0.01)
    learned = learner.begin(tasks, seeded())
    begin = {"learner": "LearnedOptimizer", "params": learner.params, "learned": learned}
    update = learner.rule(learned, 10)
    weights, gradient = torch.zeros(1, 3), torch.tensor([[5.0, -0.1, 0.0]])
    torch.testing.assert_close(update(weights, gradient, 0), torch.tensor([[-0.1, 0.1, 0.0]]), atol=1e-5, rtol=0)
    state = learner.train(tasks, budget_of(learner, 300, tasks), 0)
    unseen = torch.arange(16, 20)
    ends = []
    for known in (begin, state):
        *_, last = learner.adapt(known, tasks, unseen, tasks.steps)
        ends.append(float((last.weights - tasks.targets[unseen]).abs().mean()))
    assert ends[1] < 0.2 * ends[0]


def test_learned_schedule_goes_on_after_its_last_trained_step():
    tasks = Noisy()
    learner = LearnedSchedule(inner_rate=0.1, inner_steps=10, outer_rate=0.03)
    state = learner.train(tasks, budget_of(learner, 150, tasks), 0)
    unseen = torch.arange(16, 20)
    errors = [float((a.weights - tasks.targets[unseen]).abs().mean()) for a in learner.adapt(state, tasks, unseen, 200)]
    assert errors[10] < 0.5 * errors[0]
    assert sum(errors[190:]) / 11 < 0.75 * sum(errors[9:12]) / 3


@pytest.mark.parametrize("largest", [2, 3])
def test_a_learned_curvature_is_the_schedule_but_for_its_matrix_while_it_lasts(monkeypatch, largest):
    """Three weights, with one matrix or with two factors of it."""
    monkeypatch.setattr(learned_curvature, "LARGEST", largest)
    monkeypatch.setattr(learned_curvature, "RANK", 2)
    tasks, learner, schedule = Noisy(), LearnedCurvature(inner_steps=4), LearnedSchedule(inner_steps=4)
    learned, plain = (one.begin(tasks, seeded(1)) for one in (learner, schedule))
    gradients = torch.randn(6, 2, 3, generator=seeded(2))

    def path(rule):
        found = [learned["start"].expand(2, -1)]
        for step, gradient in enumerate(gradients):
            found.append(rule(found[-1], gradient, step))
        return torch.stack(found).diff(dim=0)

    begun, expected = path(learner.rule(learned, 6)), path(schedule.rule(plain, 6))
    torch.testing.assert_close(begun, expected)
    name = "matrix" if largest == 3 else "right"
    learned[name] = torch.randn(learned[name].shape, generator=seeded(3))
    matrix = learned["matrix"] if largest == 3 else learned["left"] @ learned["right"]
    fade = torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0, 0.0])[:, None, None]
    rates = learned["log_rates"].exp() * (1 + torch.arange(6.0) / 10)[:, None, None] ** -0.5
    velocity = -expected / rates
    torch.testing.assert_close(
        path(learner.rule(learned, 6)), -rates * (velocity + 10 / 3**0.5 * fade * (velocity @ matrix))
    )


@pytest.mark.slow
def test_a_learned_curvature_ends_lower_than_the_schedule_on_materials():
    family = family_class("brdf")()
    errors = {}
    for cls in (LearnedSchedule, LearnedCurvature):
        learner = cls(outer_rate=6e-3)
        state = learner.train(family, Budget(8_000_000), 0)
        *_, last = learner.adapt(state, family, family.split.test, 10)
        errors[cls] = float(family.metrics(last.weights, family.split.test)["log_l1"].mean())
    assert errors[LearnedCurvature] < 0.8 * errors[LearnedSchedule]


@pytest.mark.parametrize("decay", [False, True])
def test_rivals_take_the_steps_of_torchs_adam(decay):
    tasks, member = Parabolas(), torch.tensor([17])
    learner = Overfit(lr=0.2, decay=decay)
    path = list(learner.adapt(learner.train(tasks, Budget(1), 0), tasks, member, 10))
    weights = path[0].weights.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([weights], lr=0.2)
    for step in range(10):
        optimizer.param_groups[0]["lr"] = 0.2 * (1 - step / 10) if decay else 0.2
        optimizer.zero_grad()
        tasks.loss(weights, tasks.sample(member, 2, seeded())).sum().backward()
        optimizer.step()
        torch.testing.assert_close(path[step + 1].weights, weights.detach())


def test_general_is_the_best_compromise():
    tasks = Parabolas()
    learner = Finetune(lr=0.2, outer_rate=0.1, tasks_per_step=16)
    state = learner.train(tasks, budget_of(learner, 400, tasks), 0)
    torch.testing.assert_close(state["learned"]["start"], tasks.targets[:16].mean(0), rtol=0, atol=0.05)


def test_a_diverged_inner_loop_does_not_spoil_what_was_learned():
    tasks = Parabolas()
    learner = Maml(inner_rate=1e30, inner_steps=5)
    state = learner.train(tasks, budget_of(learner, 3, tasks), 0)
    assert all(value.isfinite().all() for value in state["learned"].values())
    assert state["steps"] == 3


def test_a_state_of_another_learner_is_refused():
    tasks = Parabolas()
    state = Maml().train(tasks, Budget(1), 0)
    with pytest.raises(ValueError, match="the state is of Maml"):
        next(Fomaml().adapt(state, tasks, torch.tensor([0]), 1))
    with pytest.raises(ValueError, match="inner_steps"):
        Maml(inner_steps=3).train(tasks, Budget(1), 0, state)
