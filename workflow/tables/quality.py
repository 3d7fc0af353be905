"""Can the numbers be trusted? Each check looks for one way in which a comparison goes wrong without a crash.

`fail`: a number is wrong, do not use the tables. `warn`: look at it before drawing a conclusion.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.contract.statuses import GOOD, LEFT_OUT, UNSCORED
from benchmarks.harness.cell import Cell
from workflow.tables.schema import check
from workflow.tables.scores import CONTROL
from workflow.tables.targets import GAPS

RELATIVE = 1e-5  # two validations of one point may differ by this (same-seed LLVM renders differ by 1e-7)
SLACK = 1e-3  # of the way from start to floor: how far below its floor a task may be found

Row = tuple[str, float, str, str]  # subject, value, verdict, explanation


@dataclass(frozen=True)
class Results:
    """All that the checks look at."""

    cells: Sequence[Cell]
    tasks: pd.DataFrame
    runs: pd.DataFrame
    curves: pd.DataFrame
    scores: pd.DataFrame
    grid: pd.DataFrame | None = None  # of the tuning whose parameters the suite uses
    untuned: Sequence[tuple[str, str]] = ()  # (task, method) that should be tuned but are not in that table
    deterministic: frozenset[str] = frozenset()  # methods of which equal starts give equal runs


def _limit(value: float, fail: float, warn: float | None = None) -> str:
    if not value <= fail:
        return "fail"
    return "warn" if warn is not None and value > warn else "ok"


def _all(rows: list[Row], what: str) -> Iterator[Row]:
    """Yield the offenders, or one row that says there are none."""
    yield from rows or [("all", 0.0, "ok", what)]


def complete(results: Results) -> Iterator[Row]:
    """Every cell of the config has exactly one row per seed."""
    found = results.runs.groupby(["task", "method"])["seed"].agg(lambda seeds: sorted(seeds))
    rows = []
    for cell in results.cells:
        seeds = found.get((cell.task, cell.method), [])
        if seeds != sorted(cell.replicates):
            told = f"config asks for seeds {sorted(cell.replicates)}, the tables hold {seeds}"
            rows.append((f"{cell.task}/{cell.method}", float(len(seeds)), "fail", told))
    yield from _all(rows, "every cell of the config has a row per seed")


def budget(results: Results) -> Iterator[Row]:
    """No run costs more than its budget, and cost = evaluations + grad_cost · gradients."""
    runs = results.runs
    price = runs["task"].map(results.tasks.set_index("task")["grad_cost"])
    over = (runs["cost"] > runs["budget"]) | (runs["n_evals"] > runs["budget"])
    wrong = (runs["cost"] - runs["n_evals"] - price * runs["n_grads"]).abs() > 1e-6
    rows = [
        (f"{row.task}/{row.method}/{row.seed}", row.cost, "fail", f"cost {row.cost:g} of {row.budget} granted, {why}")
        for mask, why in ((over, "more than the budget"), (wrong, "not evaluations + grad_cost · gradients"))
        for row in runs[mask].itertuples()
    ]
    yield from _all(rows, "no run costs more than its budget, and the costs add up")


def used(results: Results) -> Iterator[Row]:
    """A run that calls itself finished used at least nine tenths of its budget (a last batch may not fit)."""
    runs = results.runs[results.runs["status"] == "finished"]
    share = runs["cost"] / runs["budget"]
    rows = []
    for (task, method), least in share.groupby([runs["task"], runs["method"]]).min().items():
        if least < 0.9:
            told = f"'finished' after {least:.0%} of the budget: its batch is too large for it"
            rows.append((f"{task}/{method}", float(least), "warn", told))
    yield from _all(rows, "finished runs used at least 90 % of their budget")


def same_start(results: Results) -> Iterator[Row]:
    """All methods start from the same loss on (task, seed), and calibration saw the same starts."""
    runs = results.runs[results.runs["loss_start"].notna()]
    known = results.tasks.set_index("task")
    scale = (known["loss_start"] - known["loss_floor"]).abs() + known["loss_start"].abs()
    starts = runs.groupby(["task", "seed"])["loss_start"].agg(["min", "max"])
    spread = (starts["max"] - starts["min"]).groupby("task").max() / scale
    measured = starts["min"].groupby("task").median()
    drift = (measured - known["loss_start"]).abs() / scale
    for task in known.index.intersection(spread.index):
        differs, moved = float(spread[task]), float(drift[task])
        verdict = _limit(max(differs, moved), RELATIVE)
        told = f"start losses differ by {differs:.1e} between methods, by {moved:.1e} from calibration (relative)"
        yield task, max(differs, moved), verdict, told


def beats_random(results: Results) -> Iterator[Row]:
    """Random search is beaten on every task; where it is not, task, budget or tuning are at fault."""
    for task, scores in results.scores.groupby("task", sort=False):
        control = scores.loc[scores["method"] == CONTROL, "gap_median"]
        rivals = scores[(scores["method"] != CONTROL) & ~scores["oracle"] & scores["gap_median"].notna()]
        if control.isna().all() or rivals.empty:
            continue
        best = rivals.loc[rivals["gap_median"].idxmin()]
        value = float(control.iloc[0])
        verdict = "ok" if best["gap_median"] < max(value, GAPS[-1]) else "warn"
        yield str(task), value, verdict, f"gap {value:.3g}; the best method, {best['method']}: {best['gap_median']:.3g}"


def random_is_last(results: Results) -> Iterator[Row]:
    """Above 100 dimensions random search is not in the better half: blind samples cannot compete there."""
    for row in results.scores[(results.scores["method"] == CONTROL) & (results.scores["dim"] > 100)].itertuples():
        if row.n_ranked < 4 or np.isnan(row.rank):
            continue
        place = (row.rank - 1) / (row.n_ranked - 1)
        told = f"rank {row.rank:.1f} of {row.n_ranked} in {row.dim} dimensions"
        yield row.task, float(row.rank), "ok" if place >= 0.5 else "warn", told


def floor(results: Results) -> Iterator[Row]:
    """Nobody is better than the best loss known to be reachable."""
    lowest = results.curves[results.curves["metric"] == "loss"].groupby("task")["value"].min()
    for row in results.tasks.itertuples():
        span = row.loss_start - row.loss_floor
        if not span > 0:
            yield (
                row.task,
                float(span),
                "fail",
                f"start {row.loss_start:.4g} is not above the floor {row.loss_floor:.4g}",
            )
        elif row.task in lowest:
            under = float(row.loss_floor - lowest[row.task]) / span
            told = f"lowest loss {lowest[row.task]:.4g}, floor {row.loss_floor:.4g}"
            yield row.task, under, _limit(under, SLACK), told


def statuses(results: Results) -> Iterator[Row]:
    """How many runs of each method broke off, hung, were not possible or too dear."""
    for method, runs in results.runs.groupby("method", sort=False):
        share = runs["status"].value_counts(normalize=True)
        broken = float(share.drop([*GOOD, *UNSCORED], errors="ignore").sum())
        late, left_out = float(share.get("timeout", 0)), [(name, float(share.get(name, 0))) for name in LEFT_OUT]
        raised = float(share.get("crashed", 0))
        verdict = "fail" if raised else "warn" if broken or late else "ok"
        told = f"{broken:.0%} broke off ({raised:.0%} crashed), {late:.0%} timed out, "
        told += ", ".join(f"{part:.0%} {name.replace('_', ' ')}" for name, part in left_out) + f", of {len(runs)} runs"
        yield str(method), broken + late, verdict, told


def gradients(results: Results) -> Iterator[Row]:
    """An exact gradient agrees with central differences, as far as single precision can resolve them."""
    for row in results.tasks.itertuples():
        if row.gradient != "exact" or pd.isna(row.gradient_error):
            continue
        resolution = 20 * 6e-8 * abs(row.loss_start) / 0.1  # 20 roundings of the loss over the step 2 · 0.05
        if abs(row.central_difference) < resolution:
            told = f"slope {row.central_difference:.1e} is below what single precision resolves ({resolution:.1e})"
            yield row.task, row.gradient_error, "ok", told + ", not judged"
        elif row.gradient_error == 1:  # |difference − 0| / |difference|
            told = "the gradient is exactly 0 where differences see a slope: a loss with jumps, or a broken gradient"
            yield row.task, row.gradient_error, "warn", told
        else:
            told = f"relative to central differences (slope {row.central_difference:.3g})"
            yield row.task, row.gradient_error, _limit(row.gradient_error, 0.2, 0.05), told


def plateaus(results: Results) -> Iterator[Row]:
    """Which tasks start on a plateau: differences see no slope there (for the reader, nothing can fail)."""
    flat = results.tasks.loc[results.tasks["central_difference"] == 0, "task"]
    yield "all", float(len(flat)), "ok", f"starting on a plateau: {', '.join(flat) or 'none'}"


def curves_rise(results: Results) -> Iterator[Row]:
    """Along a run cost rises, time does not fall, and the curve ends in the final loss."""
    keys = ["task", "method", "seed"]
    losses = results.curves[results.curves["metric"] == "loss"]
    runs = results.runs[results.runs["status"].isin(GOOD)].set_index(keys)
    rows = []
    for key, curve in losses.groupby(keys, sort=False):
        name = "/".join(map(str, key))
        if (curve["cost"].diff() <= 0).any() or (curve["wall_s"].diff() < 0).any():
            rows.append((name, np.nan, "fail", "cost or time falls along the curve"))
        if key in runs.index:
            cost, loss = runs.loc[key, "cost"], runs.loc[key, "loss_final"]
            last = curve.iloc[-1]
            if last["cost"] != cost or last["value"] != loss:
                told = (
                    f"ends at cost {last['cost']:g} with loss {last['value']:.6g}, the run at {cost:g} with {loss:.6g}"
                )
                rows.append((name, float(last["value"]), "fail", "the curve " + told))
    for key in runs.index.difference(losses.set_index(keys).index.unique()):
        rows.append(("/".join(map(str, key)), np.nan, "fail", "the run has no curve"))
    yield from _all(rows, "cost and time rise along every curve, which ends in the final loss")


def seeds_differ(results: Results) -> Iterator[Row]:
    """No two seeds of a cell leave the same trail of losses and errors: that would be one run counted twice."""
    losses = results.curves[results.curves["metric"].isin(["loss", "parameter_error"])]
    trails = losses.groupby(["task", "method", "seed"])["value"].agg(tuple)
    rows = []
    for (task, method), cell in trails.groupby(["task", "method"], sort=False):
        moving = cell[cell.map(lambda trail: len(set(trail)) > 2)]
        if moving.duplicated().any() and method not in results.deterministic:
            seeds = sorted(moving.index.get_level_values("seed")[moving.duplicated(keep=False)])
            told = f"seeds {seeds} have identical curves: are the random numbers those of the seed?"
            rows.append((f"{task}/{method}", float(len(seeds)), "fail", told))
    yield from _all(rows, "no two seeds of a cell have identical curves")


def uniform(results: Results) -> Iterator[Row]:
    """One device, one version of each library, one clean commit for the whole suite."""
    runs = results.runs
    devices = runs["device"].unique()
    yield "device", float(len(devices)), "ok" if len(devices) == 1 else "warn", "; ".join(devices)
    found: dict[str, set[str]] = {}
    for line in runs["versions"].unique():
        for item in line.split():
            name, _, version = item.partition("=")
            found.setdefault(name, set()).add(version)
    mixed = {name: sorted(versions) for name, versions in found.items() if len(versions) > 1}
    yield "versions", float(len(mixed)), "warn" if mixed else "ok", f"mixed: {mixed or 'none'}"
    commits = sorted(runs["commit"].fillna("").unique())
    clean = len(commits) == 1 and commits[0] != "" and not commits[0].endswith("+")
    yield "commit", float(len(commits)), "ok" if clean else "warn", f"commits (+ = files differ): {', '.join(commits)}"


def timing(results: Results) -> Iterator[Row]:
    """A costly evaluation (1 ms and more) takes every method about as long, given that their batches differ."""
    scores = results.scores[(results.scores["evaluate_ms"] > 0) & ~results.scores["oracle"]]
    for task, group in scores.groupby("task", sort=False):
        if len(group) < 2:
            continue
        slow, fast = group.loc[group["evaluate_ms"].idxmax()], group.loc[group["evaluate_ms"].idxmin()]
        ratio = float(slow["evaluate_ms"] / fast["evaluate_ms"])
        told = (
            f"ms per evaluation: {slow['method']} {slow['evaluate_ms']:.3g}, {fast['method']} {fast['evaluate_ms']:.3g}"
        )
        yield str(task), ratio, "warn" if ratio > 20 and slow["evaluate_ms"] >= 1 else "ok", told


def tuning_grid(results: Results) -> Iterator[Row]:
    """The best values lie inside the tuning grids: a parameter that sits at the same edge on most tasks wants more."""
    if results.grid is None:
        return
    rows = []
    for method, grid in results.grid.groupby("method", sort=False):
        choices = pd.DataFrame([json.loads(choice) for choice in grid["choice"]], index=grid.index)
        untuned = sorted(set(grid["task"]) - set(grid.loc[grid["best"], "task"]))
        if untuned:
            rows.append((str(method), float(len(untuned)), "warn", f"no cell stands out on {', '.join(untuned)}"))
        chosen = choices[grid["best"]]
        for name in choices.select_dtypes("number"):
            if choices[name].nunique() < 3 or len(chosen) < 2:
                continue
            for edge, where in ((choices[name].min(), "lower"), (choices[name].max(), "upper")):
                share = float((chosen[name] == edge).mean())
                if share > 0.5:
                    told = f"best at the grid's {where} edge ({edge:g}) on {share:.0%} of {len(chosen)} tasks"
                    rows.append((f"{method}/{name}", share, "warn", told))
    yield from _all(rows, "no tuned parameter sits at the same edge of its grid on most tasks")


def tuned(results: Results) -> Iterator[Row]:
    """Every method got its tuning: none runs with defaults against tuned rivals."""
    runs = results.runs
    ran = runs[~runs["status"].isin(UNSCORED)].groupby(["task", "method"]).size().index
    rows = []
    for method in dict.fromkeys(method for _, method in results.untuned):
        tasks = [task for task, name in results.untuned if name == method and (task, name) in ran]
        if tasks:
            rows.append((method, float(len(tasks)), "warn", f"runs with its defaults on {', '.join(tasks)}"))
    yield from _all(rows, "no method runs with defaults where the suite uses tuned parameters")


CHECKS: tuple[Callable[[Results], Iterator[Row]], ...] = (
    *(complete, budget, used, same_start, curves_rise, floor, seeds_differ, gradients),
    *(beats_random, random_is_last, statuses, plateaus, tuned, tuning_grid, timing, uniform),
)


def make_quality(results: Results) -> pd.DataFrame:
    """Return qc.csv: the outcome of every check."""
    rows = [
        {"check": inspect.__name__, **dict(zip(("subject", "value", "verdict", "explanation"), row, strict=True))}
        for inspect in CHECKS
        for row in inspect(results)
    ]
    return check(pd.DataFrame(rows), "qc")
