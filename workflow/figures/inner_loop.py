"""What a model shows while it adapts: after quarters of the inner loop, beside the reference."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure

from workflow.figures import _appearance as appearance
from workflow.figures import _panels as panels
from workflow.figures.style import look
from workflow.figures.tables import Tables

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the inner loop's steps
WIDTH = 1.1  # inches of a picture


@dataclass(frozen=True)
class Options:
    """`families` (default: all), `learner` (default: the learned schedule or else the first that learns to descend)."""

    families: list[str] | None = None
    learner: str | None = None


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: one test member per family, replicate 0, with its family's own metric."""
    facts = appearance.families(tables, options.families)
    learner = appearance.main_meta(tables, options.learner)
    shown = appearance.Shown(tables, facts)
    rows = [(family, member) for family in facts.index for member in shown.members(family, 1)]
    heads = [*(f"{share:.0%}".replace("%", " %") for share in SHARES), "reference"]
    figure, grid, labels = appearance.picture_grid(shown.heights(rows), heads, WIDTH)
    for line, label, (family, member) in zip(grid, labels, rows, strict=True):
        fact = facts.loc[family]
        for axes, share in zip(line, SHARES, strict=False):
            shown.draw(axes, family, member, learner, round(share * fact.inner_steps))
        shown.draw_reference(line[-1], family, member)
        appearance.row_label(label, family, fact)
    said = f"{look(learner).name}, first test member of each family, replicate 0."
    panels.footer(figure, [], appearance.remark(tables, facts, [learner], said))
    return figure
