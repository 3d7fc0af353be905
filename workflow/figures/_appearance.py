"""What the figures of learned descent share: families, learners, what was reached when, axes that show zero."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

from benchmarks.contract.errors import UsageError
from workflow.figures import _panels as panels
from workflow.figures.gallery import draw_picture
from workflow.figures.style import ON_TOP, family_title, in_order, look, spell
from workflow.figures.tables import MARKED, Tables, choose, endings_in_words
from workflow.tables.learners import filled, sign_of

METRICS = {"log_l1": "log error", "l1": "L1 error", "gram": "Gram distance", "psnr": "PSNR (dB)", "dssim": "DSSIM"}
FEW = 6  # learners that are all shown
BEYOND = 10  # values worse than the worst start by this factor are off the scale
LABEL = 0.95  # inches for the label of a row of pictures
BREAK = {
    "ha": "center",
    "va": "center",
    "fontsize": 6,
    "color": "#444444",
    "rotation": -20,
    "gid": "break",
}  # of an axis


def families(tables: Tables, wanted: list[str] | None = None) -> pd.DataFrame:
    """Return metric, inner_steps and step_samples of the wanted families (default: all), indexed by their labels.

    A family on which no training got as far as that has no metric and no steps.
    """
    models = tables.read("models.parquet", ["family", "metric", "inner_steps", "step_samples"])
    facts = models.groupby("family", sort=False).first()
    facts["metric"] = facts.metric.fillna("")
    facts = facts.fillna({"inner_steps": 0, "step_samples": 0}).astype({"inner_steps": int, "step_samples": int})
    return facts.loc[choose("family", wanted, in_order(facts.index))]


def higher(metric: str) -> bool:
    """Return whether more is better."""
    return sign_of(metric) < 0


def metric_name(metric: str) -> str:
    """Return a metric's readable name with an arrow towards the better."""
    if not metric:
        return ""
    return f"{METRICS.get(metric, spell(metric, capital=False))} {'↑' if higher(metric) else '↓'}"


def everybody(tables: Tables) -> list[str]:
    """Return the learners that were asked for, whatever became of them, in the order of the legend."""
    return in_order(tables.read("models.parquet", ["learner"]).learner)


def main_meta(tables: Tables, wanted: str | None) -> str:
    """Return the wanted learner; by default the one on top or, failing that, the first that learns how to descend."""
    models = tables.read("models.parquet", ["learner", "role"])
    if wanted is not None:
        return choose("learner", [wanted], models.learner)[0]
    metas = models.learner[models.role == "meta"].tolist()
    if not metas:
        raise UsageError(f"{tables.folder / 'models.parquet'} has no learner of role meta: name one in the options")
    adapted = set(tables.read("adaptation.parquet", ["learner"]).learner)
    metas = [label for label in metas if label in adapted] or metas
    return next((label for label in metas if look(label).emphasis == ON_TOP), metas[0])


def why(tables: Tables, family: str, learners: Iterable[str] | None = None) -> str:
    """Return why these learners have no numbers on a family."""
    models = tables.read("models.parquet", ["family", "learner"], MARKED)
    here = models[(models.family == family) & (learners is None or models.learner.isin(list(learners or ())))]
    return endings_in_words(here[here.status != "ok"]) or ("not run" if here.empty else "nothing was logged")


def remark(tables: Tables, facts: pd.DataFrame, learners: Iterable[str], said: str = "") -> str:
    """Return `said` and a line for every learner that has no row of a checkpoint on any of these families."""
    rows = tables.read("adaptation.parquet", ["family", "learner"])
    adapted = set(rows.learner[rows.family.isin(facts.index)])
    lines = [said]
    for label in learners:
        if label not in adapted:
            reasons = dict.fromkeys(why(tables, family, [label]) for family in facts.index)
            reason = next((text for text in reasons if text != "not run"), "not run")
            lines.append(f"{look(label).name}: {textwrap.shorten(reason, 220, placeholder=' …')}.")
    return panels.lines(*lines)


def paradigms(tables: Tables, wanted: list[str] | None) -> list[str]:
    """Return the wanted learners; by default all, of many those that are drawn strongly."""
    present = everybody(tables)
    strong = [label for label in present if look(label).emphasis]
    return choose("learner", wanted or (strong if len(present) > FEW and strong else present), present)


def values(tables: Tables, facts: pd.DataFrame) -> pd.DataFrame:
    """Return the checkpoints of each family's own metric, of all members and seeds; what was not finite is infinite."""
    columns = ["family", "learner", "seed", "member", "step", "seconds", "metric", "value"]
    frame = tables.read("adaptation.parquet", columns)
    return filled(frame[frame.metric == frame.family.map(facts.metric)])


class Shown:
    """Pictures and numbers of replicate 0, by family, member, learner and step."""

    def __init__(self, tables: Tables, facts: pd.DataFrame) -> None:
        self.pictures = tables.pictures("adaptation_pictures.npz")
        if not any(key.endswith("/reference") and key.split("/")[0] in facts.index for key in self.pictures):
            raise UsageError(
                f"{tables.folder / 'adaptation_pictures.npz'} holds no reference picture of these families "
                f"({dict.fromkeys(why(tables, family) for family in facts.index).popitem()[0]})"
            )
        frame = values(tables, facts)
        first = frame[frame.seed == frame.groupby("family").seed.transform("min")]
        self.values = first.set_index(["family", "member", "learner", "step"]).value
        self.last = first.groupby(["family", "learner"]).step.max()
        models = tables.read("models.parquet", ["family", "learner"], MARKED)
        self.trained = models.drop_duplicates(["family", "learner"]).set_index(["family", "learner"]).status

    def members(self, family: str, count: int) -> list[str]:
        """Return the first test members, those with pictures before all."""
        index = self.values.index
        known = index[index.get_level_values("family") == family].get_level_values("member").unique().tolist()
        pictured = [key.split("/")[1] for key in self.pictures if key.startswith(f"{family}/")]
        return list(dict.fromkeys([*(m for m in known if m in pictured), *pictured, *known]))[:count]

    def step(self, family: str, learner: str, step: int) -> int:
        """Return the step, or the learner's last where it takes fewer: a general model is not adapted at all."""
        return min(step, self.last.get((family, learner), step))

    def number(self, family: str, member: str, learner: str, step: int) -> float | None:
        """Return the value at this step; None where there is none."""
        return self.values.get((family, member, learner, self.step(family, learner, step)))

    def best(self, family: str, member: str, learners: Iterable[str], step: int, high: bool) -> list[str]:
        """Return who has the best value at this step, all of them if several have."""
        found = {label: self.number(family, member, label, step) for label in learners}
        found = {label: value for label, value in found.items() if value is not None and np.isfinite(value)}
        best = (max if high else min)(found.values(), default=None)
        return [label for label, value in found.items() if value == best]

    def text(self, family: str, member: str, learner: str, step: int) -> str:
        """Return what to print under a picture: the value, or why there is none."""
        if (family, learner) not in self.trained.index:
            return "not run"
        value = self.number(family, member, learner, step)
        if value is None:
            status = self.trained[family, learner]
            return "no number" if status in ("", "ok") else spell(status, capital=False)
        return short(value)

    def draw(self, axes: Axes, family: str, member: str, learner: str, step: int, bold: bool = False) -> None:
        """Show the picture with its number below."""
        axes.set_axis_off()
        picture = self.pictures.get(f"{family}/{member}/{learner}/{self.step(family, learner, step)}")
        draw_picture(axes, picture)
        if picture is None:
            axes.set_aspect("auto")
            axes.set_box_aspect(self.heights([(family, member)])[0])  # as large as the row's pictures
        text = self.text(family, member, learner, step)
        axes.text(0.5, -0.03, text, transform=axes.transAxes, ha="center", va="top", fontsize=6.8,
                  fontweight="bold" if bold else "normal")  # fmt: skip

    def draw_reference(self, axes: Axes, family: str, member: str) -> None:
        """Show the reference."""
        axes.set_axis_off()
        draw_picture(axes, self.pictures.get(f"{family}/{member}/reference"))

    def heights(self, rows: Iterable[tuple[str, str]]) -> list[float]:
        """Return height / width of the pictures of each (family, member)."""
        found = []
        for family, member in rows:
            start = f"{family}/{member}/"
            shapes = [picture.shape for key, picture in self.pictures.items() if key.startswith(start)]
            found.append(shapes[0][0] / shapes[0][1] if shapes else 1.0)
        return found


def short(value: float) -> str:
    """Return a value in few characters."""
    if not np.isfinite(value):
        return "diverged"
    plain = value == 0 or 1e-3 <= abs(value) < 1e4
    text = f"{value:.3g}" if plain else f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    return text.replace("-", "−")


def quality_axis(axes: Axes, metric: str, seen: np.ndarray, starts: np.ndarray) -> tuple[float, float]:
    """Scale y for the values seen: logarithmic where all are positive and less is better; return its limits.

    Values far worse than the worst of `starts` (medians before adaptation) do not stretch the axis.
    """
    seen, starts = (np.asarray(part, dtype=float) for part in (seen, starts))
    seen, starts = seen[np.isfinite(seen)], starts[np.isfinite(starts)]
    if not len(seen):
        panels.note(axes, "nobody has a finite value here")
        return 0.0, 1.0
    starts = starts if len(starts) else seen
    low, high = seen.min(), seen.max()
    if higher(metric):
        low = max(low, starts.min() - 0.5 * (high - starts.min()))
    elif low < 0:
        high = min(high, starts.max() + 0.5 * (starts.max() - low))
    else:
        low = seen[seen > 0].min() if (seen > 0).any() else 1e-9
        high = max(low, min(high, BEYOND * starts.max()))
        margin = max(high / low, 1.2) ** 0.08
        axes.set_yscale("log")
        axes.set_ylim(low / margin, high * margin)
        if np.log10(np.divide(*axes.get_ylim()[::-1])) < 2:
            panels.log_axis(axes.yaxis)
        else:
            axes.yaxis.set_major_locator(LogLocator(numticks=5))
            axes.yaxis.set_major_formatter(lambda value, _: tick(value))
            axes.yaxis.set_minor_formatter(NullFormatter())
        return axes.get_ylim()
    margin = 0.08 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)
    return axes.get_ylim()


def zero_axis(axes: Axes, positive: Iterable[float], gap: float) -> float:
    """Make x logarithmic with a place for zero, `gap` times left of the smallest positive value; return that place."""
    positive = np.asarray([value for value in positive if value > 0 and np.isfinite(value)])
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 10.0)
    zero = low / gap
    axes.set_xscale("log")
    axes.set_xlim(zero / gap**0.35, high * max(high / zero, 10) ** 0.05)
    powers = np.arange(np.ceil(np.log10(low) - 1e-9), np.floor(np.log10(axes.get_xlim()[1])) + 1)
    powers = powers[:: 1 + len(powers) // 6]
    axes.xaxis.set_major_locator(FixedLocator([zero, *10**powers]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: "0" if value < 0.99 * low else tick(value))
    axes.text(zero * gap**0.5, 0, "//", transform=axes.get_xaxis_transform(), **BREAK)
    return zero


def tick(value: float) -> str:
    """Return the label of a power of ten."""
    power = round(np.log10(value))
    return f"{10.0**power:g}" if -3 <= power <= 2 else f"$10^{{{power}}}$"


def picture_grid(heights: Sequence[float], heads: Sequence[str], width: float) -> tuple[Figure, np.ndarray, list[Axes]]:
    """Return a figure, its panels (rows, columns) for pictures `width` inches wide, and a panel per row for a label."""
    figure, grid = plt.subplots(
        len(heights),
        len(heads) + 1,
        figsize=(width * len(heads) + LABEL + 0.1, width * sum(heights) + 0.24 * len(heights) + 0.3),
        squeeze=False,
        gridspec_kw={"height_ratios": heights, "width_ratios": [LABEL, *[width] * len(heads)]},
    )
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    for axes, head in zip(grid[0, 1:], heads, strict=True):
        axes.set_title(head, fontsize=7, pad=3)
    return figure, grid[:, 1:], list(grid[:, 0])


def row_label(axes: Axes, family: str, fact: pd.Series, more: str = "") -> None:
    """Say in a panel of its own what a row of pictures shows: family, member, metric and steps."""
    axes.set_axis_off()
    head = textwrap.fill(family_title(family), 16)
    known = [metric_name(fact.metric), f"{fact.inner_steps} steps"] if fact.metric else []
    body = [*textwrap.wrap(more, 20), *known]
    where = {"transform": axes.transAxes, "fontsize": 6.3, "ha": "left", "gid": "note", "linespacing": 1.1}
    axes.text(0, 0.53, head, va="bottom", fontweight="bold", **where)
    axes.text(0, 0.47, "\n".join(body), va="top", **where)
