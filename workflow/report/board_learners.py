"""The board of learners × families: quality at the end of the inner loop, curves over steps, pictures on the way."""

from __future__ import annotations

from typing import Any

import pandas as pd

from workflow.figures import _appearance as appearance
from workflow.figures.style import family_title, in_order, look
from workflow.figures.tables import Tables
from workflow.report.boards import Board, Cell, Column, between, by_rank, number, picture, plain, row

TABLE = "quality_at.csv"  # where it is there, the report has this board
NOTE = (
    "Each family's own metric after as many gradient steps as its inner loop takes, median over test members and seeds;"
    " the darker, the better by rank within the family. Step 0 is not drawn on a logarithmic axis."
)


def board(tables: Tables) -> Board:
    """Return the board; raises UsageError where a table that it needs is missing."""
    columns = ["family", "learner", "metric", "step", "samples", "seconds", "median", "low", "high", "n_members"]
    quality = tables.read("quality_at.csv", columns)
    families = appearance.families(tables)
    quality = quality[quality["metric"] == quality["family"].map(families["metric"])]
    reached = quality[quality["step"] <= quality["family"].map(families["inner_steps"])]
    ends = reached.sort_values("step").groupby(["family", "learner"]).tail(1).set_index(["learner", "family"])
    shades = {
        family: by_rank(ends["median"].xs(family, level="family"), not appearance.higher(fact.metric))
        for family, fact in families.iterrows()
        if family in ends.index.get_level_values("family")
    }
    roles = tables.read("models.parquet", ["family", "learner", "params", "role", "status", "reason", "train_s"])
    given = roles.drop_duplicates(["family", "learner"]).set_index(["learner", "family"])
    lines = dict(iter(quality.groupby(["learner", "family"])))
    cells = {}
    for (learner, family), line in lines.items():
        end, model = ends.loc[(learner, family)], given.loc[(learner, family)]
        cells[f"{learner}|{family}"] = Cell(
            number(end["median"], 2),
            round(float(shades[family][learner]), 3) if pd.notna(shades[family][learner]) else None,
            {
                "quality": f"{number(end['median'])} {between(end['low'], end['high'])}",
                "after": f"{end['step']} steps, {number(end['seconds'])} s",
                "test members": str(end["n_members"]),
                "training": f"{number(model['train_s'])} s",
                "status": str(model["status"] or "ok"),
                "parameters": str(model["params"]),
            },
            {
                x: [plain(line[name]) for name in (column, "median", "low", "high")]
                for x, column in (("steps", "step"), ("samples", "samples"), ("seconds", "seconds"))
            },
        )
    table = pd.DataFrame(shades)
    rank, met = 1 - table.mean(axis=1), table.notna().sum(axis=1)
    learners = sorted(in_order(quality["learner"]), key=lambda label: (met[label] < met.max(), rank.fillna(2)[label]))
    role = roles.drop_duplicates("learner").set_index("learner")["role"]
    return Board(
        id="learners",
        title="Learners × families",
        note=NOTE,
        score="rank · families",
        xs={"steps": "gradient steps", "samples": "training samples", "seconds": "seconds"},
        y="quality",
        rows=[row(label, str(role.get(label, "")), f"{rank[label]:.2f} · {met[label]}") for label in learners],
        columns=[
            Column(family, family_title(family), f"{fact.inner_steps} steps", appearance.metric_name(fact.metric),
                   not appearance.higher(fact.metric))
            for family, fact in families.iterrows()
        ],
        cells=cells,
        frames=frames(tables),
        lead=f"{look(learners[0]).name} is ahead of {(met == met.max()).sum() - 1} learners and rivals"
        f" over {met.max()} families (mean relative rank {rank[learners[0]]:.2f} after the inner loop).",
    )  # fmt: skip


def frames(tables: Tables) -> dict[str, dict[str, Any]]:
    """Return the pictures of each family's first test member: target, the steps, learner → step → picture."""
    if not (tables.folder / "adaptation_pictures.npz").is_file():
        return {}
    found: dict[str, dict[str, Any]] = {}
    first: dict[str, str] = {}
    for key, pixels in tables.pictures("adaptation_pictures.npz").items():
        family, member, name, *step = key.split("/")
        if first.setdefault(family, member) != member:
            continue
        here = found.setdefault(family, {"member": member, "target": "", "steps": [], "rows": {}})
        if step:
            here["rows"].setdefault(name, {})[step[0]] = picture(pixels)
        else:
            here["target"] = picture(pixels)
    for here in found.values():
        here["steps"] = sorted({int(step) for row_ in here["rows"].values() for step in row_})
    return found
