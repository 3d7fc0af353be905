"""The board of diffusion samplers × laws: distance to the truth over evaluations of the denoiser."""

from __future__ import annotations

import numpy as np
import pandas as pd

from workflow.figures.style import in_order, look, spell
from workflow.figures.tables import Tables
from workflow.report.boards import Board, Cell, Column, between, by_rank, number, plain, row
from workflow.tables.intervals import bootstrap, median

METRIC = "sliced_w2"
TABLE = "diffusion.csv"  # where it is there, the report has this board
NOTE = (
    "Sliced 2-Wasserstein distance, geometric mean over budgets; the darker, the nearer by rank within the law."
    " Distilled samplers are charged as the network that one could train for them at best."
)


def board(tables: Tables) -> Board:
    """Return the board; raises UsageError where a table that it needs is missing."""
    values = tables.read("diffusion.csv", ["task", "sampler", "budget", "nfe", "seed", "metric", "value"])
    values = values[values["metric"] == METRIC]
    means = np.exp(np.log(values["value"]).groupby([values["task"], values["sampler"]]).mean())
    shades = {task: by_rank(means.xs(task, level="task")) for task in means.index.get_level_values("task").unique()}
    choices = tables.read("diffusion_choices.csv", ["task", "sampler", "budget", "spacing", "params", "status"])
    cells = {}
    for (task, sampler), runs in values.groupby(["task", "sampler"]):
        lines = []
        for nfe, here in runs.groupby("nfe"):
            found = here["value"].to_numpy(float)
            lines.append((nfe, np.median(found), *bootstrap(found, median)))
        used = choices[(choices["task"] == task) & (choices["sampler"] == sampler)]
        told = {f"budget {item.budget}": f"{item.spacing}, {item.params}" for item in used.itertuples()}
        last = lines[-1]
        cells[f"{sampler}|{task}"] = Cell(
            number(means[task, sampler], 2),
            round(float(shades[task][sampler]), 3),
            {"mean": number(means[task, sampler]), f"at {last[0]}": f"{number(last[1])} {between(*last[2:])}", **told},
            {"nfe": [plain(np.array(column, dtype=float)) for column in zip(*lines, strict=True)]},
        )
    rank = 1 - pd.DataFrame(shades).mean(axis=1)
    samplers = sorted(in_order(values["sampler"]), key=lambda label: rank[label])
    kinds = tables.labels().set_index("label")["kind"]
    return Board(
        id="diffusion",
        title="Samplers × laws",
        note=NOTE,
        score="rank",
        xs={"nfe": "evaluations of the denoiser"},
        y="sliced W₂ distance",
        rows=[row(label, str(kinds.get(label, "")), f"{rank[label]:.2f}") for label in samplers],
        columns=[Column(task, spell(task), "") for task in shades],
        cells=cells,
        lead=f"{look(samplers[0]).name} is nearest to the truth of {len(samplers)} samplers over {len(shades)} laws "
        f"(mean relative rank {rank[samplers[0]]:.2f}).",
    )
