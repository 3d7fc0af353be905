"""Tables of a suite of rendered scenes, small enough to know every result by heart."""

import json

import numpy as np
import pandas as pd
from labels_by_hand import write_labels
from tables_by_hand import make_curve, make_run, make_tasks

from workflow.tables.reproduction import make_reproduction
from workflow.tables.scene_landscape import frame
from workflow.tables.schema import check

TASKS = {  # label → problem, dimensions
    "cup": ("cup", 1),
    "sphere_apart": ("sphere", 1),
    "sphere_overlap": ("sphere", 1),
    "shadows": ("shadows", 2),
    "sort": ("sort", 150),
}
METHODS = {  # label → file, parameters, image MSE at the end of replicates 0, 1 and 2
    "adam_prb": ("adam", {"source": "prb"}, [0.9, 0.8, 0.9]),
    "adam_projective": ("adam", {"source": "prb_projective"}, [0.1, 0.2, 0.1]),
    "adam_softras": ("adam", {"source": "softras"}, [0.3, 0.3, 0.4]),
    "prdpt": ("prdpt", {"pairs": 1}, [1e-5, 2e-5, 4e-5]),
    "prdpt_exact": ("prdpt", {"pairs": 1, "estimator": "exact"}, [1e-5, 1e-5, 1e-5]),
    "prdpt_diff": ("prdpt_diff", {"pairs": 2}, [0.5, 0.6, 0.7]),
    "cma_es": ("cma_es", {}, [1e-6, 1e-6, 0.0]),
    "random_search": ("random_search", {}, [0.05, 0.02, 0.01]),
    "nelder_mead": ("nelder_mead", {}, [1.0, 1.0, 1.0]),
}
START, TARGET = 2.0, -1.0


def make_folder(folder):
    """Write the tables of a suite in which nobody ran nelder_mead on `sort`, and κ∂P broke down on `cup`."""
    tasks = pd.concat(
        make_tasks(label, problem=f"rendering.{problem}", family="rendering", dim=dim,
                   params=json.dumps({"case": label.partition("_")[2]} if problem == "sphere" else {}))
        for label, (problem, dim) in TASKS.items()
    )  # fmt: skip
    runs, curves = [], []
    for task, (_, dim) in TASKS.items():
        for method, (algorithm, params, ends) in METHODS.items():
            if (task, method) == ("sort", "nelder_mead"):
                continue
            for seed, end in enumerate(ends):
                broken = (task, method) == ("cup", "prdpt_diff")
                status = {"status": "diverged", "cost": 20.0} if broken else {}
                grads = 500 if algorithm in ("adam", "prdpt_diff") else 0
                facts = {"algorithm": algorithm, "params": json.dumps(params), "dim": dim, "n_grads": grads, **status}
                run = make_run(task, method, seed, np.nan if broken else end, **facts)
                runs.append(run)
                costs = (0, 10) if broken else (0, 10, 100, 1000)
                for metric, last in (("loss", end), ("image_mse", end), ("parameter_mse", 10 * end)):
                    curves += make_curve(run, [(c, max(last, 1.0 - c / 200)) for c in costs], metric)
                for axis in range(dim if dim <= 2 else 0):
                    way = [(c, START + (TARGET + end - START) * c / 1000 + 0.1 * axis) for c in costs]
                    curves += make_curve(run, way, f"z_{axis}")
    runs, curves = pd.DataFrame(runs), pd.DataFrame(curves)
    tasks.to_csv(folder / "tasks.csv", index=False)
    runs.to_parquet(folder / "runs.parquet", index=False)
    curves.to_parquet(folder / "curves.parquet", index=False)
    scores = runs[["task", "method"]].drop_duplicates()
    scores.assign(oracle=scores.method.str.match("adam|prdpt_diff")).to_csv(folder / "scores.csv", index=False)
    make_reproduction(tasks, runs, curves).to_csv(folder / "reproduction.csv", index=False)
    make_landscapes().to_parquet(folder / "scene_landscape.parquet", index=False)
    picture = np.linspace(0, 255, 12 * 16 * 3).reshape(12, 16, 3).astype(np.uint8)
    write_labels(folder)
    names = ["start", "target", *(label for label in METHODS if label != "nelder_mead")]
    np.savez(folder / "pictures.npz", **{f"{task}/{name}": picture for task in TASKS for name in names})


def loss(*z):
    """A bowl around the target."""
    return sum((axis - TARGET) ** 2 for axis in z)


def make_landscapes():
    """The bowl in one and two dimensions; smoothed, it is the same and σ² per dimension."""
    tables = []
    for task, (_, dim) in TASKS.items():
        if dim > 2:
            continue
        grid = np.meshgrid(*[np.linspace(-3, 4, 29)] * dim, indexing="ij")
        parts = [frame(grid, "loss", loss(*grid))]
        parts += [frame(grid, "smoothed", loss(*grid) + dim * sigma**2, sigma) for sigma in (0.5, 1.0, 2.0)]
        for kind, place in (("start", START), ("target", TARGET)):
            at = [np.array(place)] * dim
            parts.append(frame(at, kind, loss(*at)))
        tables.append(pd.concat(parts).assign(task=task))
    return check(pd.concat(tables, ignore_index=True), "scene_landscape")
