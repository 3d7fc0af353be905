"""What the ways of training make of test members with the same gradient steps, beside the references."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from matplotlib.figure import Figure

from methods._ranges import Count
from workflow.figures import _appearance as appearance
from workflow.figures import _panels as panels
from workflow.figures.style import look
from workflow.figures.tables import Tables

WIDTH = 0.98  # inches of a picture


@dataclass(frozen=True)
class Options:
    """`families` (default: all), `learners` (default: all, of many those drawn strongly), `members` of each family."""

    families: list[str] | None = None
    learners: list[str] | None = None
    members: Count = 2


def draw(tables: Tables, options: Options) -> Figure:
    """Return the figure: a row per test member, replicate 0, all after the inner loop's number of steps."""
    facts = appearance.families(tables, options.families)
    learners = appearance.paradigms(tables, options.learners)
    shown = appearance.Shown(tables, facts)
    rows = [(family, member) for family in facts.index for member in shown.members(family, options.members)]
    heads = [*(textwrap.fill(look(label).name, 16, break_on_hyphens=False) for label in learners), "reference"]
    figure, grid, labels = appearance.picture_grid(shown.heights(rows), heads, WIDTH)
    for line, label, (family, member) in zip(grid, labels, rows, strict=True):
        fact = facts.loc[family]
        best = shown.best(family, member, learners, fact.inner_steps, appearance.higher(fact.metric))
        for axes, learner in zip(line, learners, strict=False):
            shown.draw(axes, family, member, learner, fact.inner_steps, learner in best)
        shown.draw_reference(line[-1], family, member)
        appearance.row_label(label, family, fact, textwrap.shorten(member.replace("_", " "), 36, placeholder="…"))
    for axes, learner in zip(grid[0], learners, strict=False):
        axes.title.set_color(look(learner).color)
    said = "First test members of each family, replicate 0; the best number of a row in bold."
    panels.footer(figure, [], appearance.remark(tables, facts, learners, said))
    return figure
