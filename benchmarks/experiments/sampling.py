"""How few measurements of a BRDF are enough, and where to take them: error against their number, for four models.

`python -m benchmarks.experiments.sampling --spec JSON --out FOLDER` writes `sampling.parquet`. What is finished is
kept, in one file per model, method, number of measurements and seed.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.contract.errors import UsageError, unknown
from benchmarks.contract.parameters import at_least, check
from benchmarks.contract.seeds import derive
from benchmarks.harness.job import Job, entry, open_device, watched
from benchmarks.harness.kept import read_json, write_json, write_table
from benchmarks.harness.phases import NOBODY, Phases
from benchmarks.harness.sources import fingerprint, sources
from benchmarks.harness.store import require_writable
from benchmarks.harness.watch import Death, Guard

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from benchmarks.appearance._patterns import Kind
    from methods.meta._measured_descent import MeasuredDescent
    from methods.meta.base import Batch, Learner, State, Update

    Rule = Callable[[], Update]  # an update may keep a state: a new one for every descent

TABLE = "sampling.parquet"
COLUMNS = ["suite", "family", "model", "method", "n", "seed", "member", "metric", "value", "train_samples", "train_s"]
COLUMNS += ["status", "reason"]
PIECE_S = 7200.0  # for one piece, and what those of its model and seed share
MODELS = ("nbrdf", "phong", "cook_torrance", "pca")
METHODS = ("random", "stratified", "meta", "learned")
ADAM_RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # of the fit from the mean start, decaying to zero
DESCENT_RATES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # where Meta-SGD's step sizes begin
MEAN_RATE = 0.02  # of the Adam that fits the mean start
OUTER_RATES = {"nbrdf": 0.003, "phong": 0.05, "cook_torrance": 0.05, "pca": 0.05}
STABLE = 1 / 3  # of the best of these rates: at the edge of stability the outer gradient is noise
WARM_COUNT = 32  # measurements in the training that all n share
WARM_SCALES = (0.03, 0.1, 0.3, 1.0)  # of its step sizes: fewer measurements want shorter steps
PLACED = 64  # directions tried, in all patterns together, before the directions are learned
REPEATS = 8  # adaptations to each validation member for the choice of rates, at most
JUDGED = 256  # samples per validation member on which choices are judged
OWNER = "sampling"  # in messages


@dataclass(frozen=True)
class Sampling:
    """What the pipeline asks for."""

    suite: str
    family: str  # label in the table
    params: dict[str, Any] = field(default_factory=dict)  # of appearance.brdf; `model` stands in `models`
    models: list[str] = field(default_factory=lambda: list(MODELS))
    methods: list[str] = field(default_factory=lambda: list(METHODS))
    counts: list[int] = field(default_factory=lambda: [2**power for power in range(10)])  # measurements n
    seeds: list[int] = field(default_factory=lambda: [0, 1])
    steps: int = 20  # of adaptation, and of the inner loop
    fit_steps: int = 20  # of Adam, for `random` and `stratified`; with many more it converges
    mean_steps: int = 300  # of Adam towards the mean start, which all methods share
    warm_steps: int = 300  # outer steps that `meta` and `learned` share, for all n
    outer_steps: int = 60  # then of each of them, for every n
    tasks_per_step: int = 8
    device: str = "cpu"
    threads: int = 1

    @classmethod
    def from_json(cls, text: str) -> Sampling:
        """Parse a specification; raises UsageError naming key and value of what is wrong."""
        content = json.loads(text)
        known = [item.name for item in fields(cls)]
        for key in content:
            if key not in known:
                raise unknown("key of a specification of sampling:", key, known)
        found = cls(**content)
        for kind, asked, there in (("model", found.models, MODELS), ("method", found.methods, METHODS)):
            for name in asked:
                if name not in there:
                    raise unknown(kind, name, there)
        for key in ("models", "methods", "counts", "seeds"):
            if not getattr(found, key):
                raise UsageError(f"{OWNER}: {key!r} must not be empty")
        numbers = ("steps", "fit_steps", "mean_steps", "warm_steps", "outer_steps", "tasks_per_step", "threads")
        at_least(1, OWNER, counts=min(found.counts), **{key: getattr(found, key) for key in numbers})
        at_least(0, OWNER, seeds=min(found.seeds))
        if "model" in found.params:
            raise UsageError(f"{OWNER}: parameter 'model' of the family is given by 'models'")
        return found

    def fingerprint(self) -> str:
        """Return the hash of code and settings that a stored piece must carry to be reused."""
        facts = asdict(self)
        for key in ("suite", "family", "models", "methods", "counts", "seeds"):
            facts.pop(key)
        return fingerprint(sources("benchmarks.experiments.sampling"), json.dumps(facts, sort_keys=True))


@dataclass(frozen=True)
class Piece:
    """What is kept as soon as it is computed."""

    model: str
    method: str
    n: int
    seed: int

    def file(self, out: Path) -> Path:
        """Return where it is kept."""
        return out / f"{self.model}_{self.method}_{self.n}_{self.seed}.json"

    def facts(self) -> dict[str, Any]:
        """Return the row of a piece of which nothing is known."""
        unknown = {"member": "", "metric": "", "value": None, "train_samples": None, "train_s": None}
        return {"model": self.model, "method": self.method, "n": self.n, "seed": self.seed, **unknown}


def params_of(spec: Sampling, model: str) -> dict[str, Any]:
    """Return the parameters of the family; raises UsageError for a wrong one."""
    from benchmarks.appearance.brdf import Brdf

    return check(Brdf.setup, {**spec.params, "model": model}, f"family {spec.family!r} (appearance.brdf)")


class Bench:
    """One model and seed: the family, and what all methods share before they see a number of measurements."""

    def __init__(self, spec: Sampling, model: str, seed: int) -> None:
        """Build the family and fit the mean start: one model for all training members."""
        from benchmarks.appearance.brdf import Brdf
        from methods.meta.general import General

        self.spec, self.model, self.seed = spec, model, seed
        self.family = Brdf(device=spec.device, **params_of(spec, model))
        self.tasks = min(spec.tasks_per_step, len(self.family.training_members))
        mean = General(tasks_per_step=self.tasks, steps_per_task=1, outer_rate=MEAN_RATE)
        self.mean = self.train(mean, spec.mean_steps * self.tasks * self.family.samples, "mean")

    def generator(self, *purpose: str | int) -> torch.Generator:
        """Return random numbers for a purpose; the same ones for all methods that share it."""
        import torch

        return torch.Generator().manual_seed(derive("sampling", self.model, self.seed, *purpose))

    def train(self, learner: Learner, samples: int, *purpose: str | int) -> State:
        """Train on so many samples."""
        from methods.meta.base import Budget

        return learner.train(self.family, Budget(samples), derive("sampling", self.model, self.seed, *purpose))

    def learner(self, n: int, directions: bool, rate: float = 1.0) -> MeasuredDescent:
        """Return a learner for n measurements that begins at the mean start, with this inner rate."""
        from methods.meta._measured_descent import MeasuredDescent

        params = {"inner_rate": rate, "inner_steps": self.spec.steps, "tasks_per_step": self.tasks}
        learner = MeasuredDescent(n=n, directions=directions, outer_rate=OUTER_RATES[self.model], **params)
        learner.begin_at(self.mean["learned"])
        return learner

    @cached_property
    def warm(self) -> State:
        """Start and step sizes learned for WARM_COUNT random measurements, from where training goes on for every n."""
        n = WARM_COUNT
        learners = [self.learner(n, False, rate) for rate in DESCENT_RATES]
        rules = [
            partial(item.rule, item.begin(self.family, self.generator("begin")), self.spec.steps) for item in learners
        ]
        learner = self.learner(n, False, STABLE * DESCENT_RATES[self.best(self.mean, rules, n, "random")])
        return self.train(learner, self.spec.warm_steps * self.tasks * (n + self.family.samples), "warm")

    def measure(self, members: Tensor, n: int, kind: Kind, purpose: str) -> Batch:
        """Return n measurements (tasks, n, …) of each member, at directions of its own."""
        return self.family.measure(members, self.patterns(len(members), n, kind, self.generator(purpose, kind, n)))

    def patterns(self, count: int, n: int, kind: Kind, generator: torch.Generator) -> Tensor:
        """Return the coordinates (count, n, 3) of so many independent patterns."""
        import torch

        return torch.stack([self.family.pattern(n, kind, generator) for _ in range(count)])

    def descend(self, start: Tensor, rule: Rule, batch: Batch, steps: int | None = None) -> Tensor:
        """Return the weights (tasks, n_weights) after all steps of adaptation, each on the same measurements."""
        import torch

        weights, update = start.expand(len(batch["target"]), -1), rule()
        for step in range(steps or self.spec.steps):
            weights = weights.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.family.loss(weights, batch).sum(), weights)
            weights = update(weights.detach(), gradient, step)
        return weights.detach()

    def best(self, begun: State, rules: Sequence[Rule], n: int, kind: Kind, steps: int | None = None) -> int:
        """Return which rule takes the validation members from the start of `begun` to the least loss elsewhere.

        Every member is adapted to several times if n is small: one direction says little about a rule.
        """
        members = self.family.split.validation.repeat(min(REPEATS, max(1, PLACED // n)))
        batch = self.measure(members, n, kind, "validation")
        judged = self.family.sample(members, JUDGED, self.generator("judged"))
        start = begun["learned"]["start"]
        return least([self.family.loss(self.descend(start, rule, batch, steps), judged).mean() for rule in rules])

    def best_pattern(self, rule: Rule, n: int) -> Tensor:
        """Return the coordinates (n, 3), of PLACED // n stratified patterns, from which validation members fare best.

        Descent improves a pattern but hardly carries a direction from one lobe of the BRDFs to another: it matters most
        for few directions, and then many can be tried.
        """
        members, count = self.family.split.validation, max(1, PLACED // n)
        patterns = self.patterns(count, n, "stratified", self.generator("pattern", n))
        batch = self.family.measure(members.repeat(count), patterns.repeat_interleave(len(members), 0))
        weights = self.descend(self.warm["learned"]["start"], rule, batch)
        judged = self.family.sample(members, JUDGED, self.generator("judged"))
        judged = {name: value.repeat(count, 1, 1) for name, value in judged.items()}
        return patterns[least(list(self.family.loss(weights, judged).view(count, -1).mean(1)))]

    def fit(self, kind: Kind, n: int) -> tuple[Tensor, int, float]:
        """Fit the test members with tuned Adam from the mean start; return weights, training samples and seconds."""
        from methods.meta.finetune import Finetune

        steps, start = self.spec.fit_steps, self.mean["learned"]["start"]
        rules = [partial(Finetune(lr=rate, decay=True).rule, {}, steps) for rate in ADAM_RATES]
        rule = rules[self.best(self.mean, rules, n, kind, steps)]
        batch = self.measure(self.family.split.test, n, kind, "test")
        return self.descend(start, rule, batch, steps), self.mean["samples"], self.mean["seconds"]

    def meta(self, directions: bool, n: int) -> tuple[Tensor, int, float]:
        """Learn start, rates and perhaps directions, then adapt to the test members; returns as `fit` does."""
        learner, warm = self.learner(n, directions), self.warm["learned"]
        scaled = [{**warm, "log_rates": warm["log_rates"] + math.log(scale)} for scale in WARM_SCALES]
        rules = [partial(learner.rule, item, self.spec.steps) for item in scaled]
        chosen = self.best(self.warm, rules, n, "random")
        learner.begin_at(
            {**scaled[chosen], **({"directions": self.best_pattern(rules[chosen], n)} if directions else {})}
        )
        state = self.train(learner, self.spec.outer_steps * self.tasks * (n + self.family.samples), "train", n)
        learned = state["learned"]
        members = self.family.split.test
        if directions:
            batch = learner.measurements(learned, self.family, members, self.generator("test"))
        else:
            batch = self.measure(members, n, "random", "test")  # where `fit` measures
        weights = self.descend(learned["start"], partial(learner.rule, learned, self.spec.steps), batch)
        samples, seconds = (sum(part[key] for part in (self.mean, self.warm, state)) for key in ("samples", "seconds"))
        return weights, samples, seconds


def least(losses: list[Tensor]) -> int:
    """Return the index of the least loss; one that is not a number loses."""
    import torch

    return int(torch.stack(losses).nan_to_num(float("inf")).argmin())


def run_piece(bench: Bench, method: str, n: int) -> list[dict[str, Any]]:
    """Return the rows of one method and number of measurements."""
    if method in ("random", "stratified"):
        weights, samples, seconds = bench.fit(method, n)
    else:
        weights, samples, seconds = bench.meta(method == "learned", n)
    members = bench.family.split.test
    facts = {"model": bench.model, "method": method, "n": n, "seed": bench.seed}
    return [
        {**facts, "member": bench.family.names[member], "metric": metric, "value": value,
         "train_samples": samples, "train_s": seconds}
        for metric, values in bench.family.metrics(weights, members).items()
        for member, value in zip(members.tolist(), values.tolist(), strict=True)
    ]  # fmt: skip


def run_sampling(spec: Sampling, out: Path, phases: Phases | None = None) -> None:
    """Compute the missing pieces, then write the table into `out`; a piece that broke off has one row, without value.

    Args:
        spec: What to compute.
        out: Folder of the table.
        phases: Where the job notes what it is doing, for a process that watches it.
    """
    phases = phases or Phases()
    open_device(spec.device)
    require_writable(out)
    for model in spec.models:
        params_of(spec, model)
    mark = spec.fingerprint()
    benches: dict[tuple[str, int], Bench] = {}
    for number, piece in enumerate(pieces_of(spec)):
        if read_piece(out, piece, mark) is None:
            phases.begin(number, piece.seed)
            phases.enter("train")
            keep(out, piece, mark, rows_of(spec, piece, benches))
    phases.begin(0)
    phases.enter("tables")
    write_rows(spec, out)


def pieces_of(spec: Sampling) -> list[Piece]:
    """Return what is to be computed, in its order."""
    pairs = product(spec.models, spec.seeds)
    return [Piece(model, method, n, seed) for model, seed in pairs for n, method in product(spec.counts, spec.methods)]


def rows_of(spec: Sampling, piece: Piece, benches: dict[tuple[str, int], Bench]) -> list[dict[str, Any]]:
    """Return the rows of a piece; `benches` holds what those of one model and seed share."""
    from benchmarks.harness.ending import ENDS, ending_of

    key = piece.model, piece.seed
    try:
        if key not in benches:
            benches.clear()
            benches[key] = Bench(spec, *key)
        return run_piece(benches[key], piece.method, piece.n)
    except ENDS as error:
        ended = ending_of(error)
        return [{**piece.facts(), "status": ended.status, "reason": ended.reason}]


def read_piece(out: Path, piece: Piece, mark: str) -> list[dict[str, Any]] | None:
    """Return the rows that are kept of a piece, if there are any of this code and these settings."""
    stored = read_json(piece.file(out), ("fingerprint", "rows"))
    return stored["rows"] if stored is not None and stored["fingerprint"] == mark else None


def keep(out: Path, piece: Piece, mark: str, rows: list[dict[str, Any]]) -> None:
    """Keep the rows of a piece."""
    write_json(piece.file(out), {"fingerprint": mark, "rows": rows})
    errors = [row["value"] for row in rows if row["metric"] == "log_l1"]
    told = f"log-L1 {sum(errors) / len(errors):.4f}" if errors else rows[0]["reason"]
    print(f"{piece.model} {piece.method} n={piece.n} seed {piece.seed}: {told}", flush=True)


def bury(spec: Sampling, out: Path, death: Death) -> int:
    """Keep one row of the piece that a dead job was at, of all that are missing where none had begun."""
    mark, given_up = spec.fingerprint(), 0
    for number, piece in enumerate(pieces_of(spec)):
        at_it = number == death.beat.item or death.beat.replicate == NOBODY
        if at_it and read_piece(out, piece, mark) is None:
            keep(out, piece, mark, [{**piece.facts(), "status": death.status, "reason": death.reason}])
            given_up += 1
    return given_up


def write_rows(spec: Sampling, out: Path) -> None:
    """Write the table of all pieces, which are there."""
    import pandas as pd

    mark, rows = spec.fingerprint(), []
    for piece in pieces_of(spec):
        for row in read_piece(out, piece, mark) or ():
            value = row.get("value")
            finite = value is not None and math.isfinite(value)
            rows.append({"suite": spec.suite, "family": spec.family, **row, "value": value if finite else float("nan")})
    write_table(out / TABLE, pd.DataFrame(rows, columns=COLUMNS).fillna({"status": "ok", "reason": ""}))


def job_of(arguments: argparse.Namespace) -> Job:
    """Return the job that the command line asks for."""
    spec, out = Sampling.from_json(arguments.spec), arguments.out
    guard = Guard(phase_s=math.inf, replicate_s=PIECE_S)
    return Job(partial(run_sampling, spec, out), partial(bury, spec, out), guard, spec.device, spec.threads)


if __name__ == "__main__":
    entry(lambda: watched(__spec__.name, __doc__, job_of))
