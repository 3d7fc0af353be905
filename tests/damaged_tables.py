"""One folder with a table of every kind, small, and the ways in which runs, tasks and learners can be missing in it."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import scenes_by_hand
import test_figures_appearance as learned
from labels_by_hand import every_label, write_labels
from tables_by_hand import make_curve, make_run, make_tasks

from benchmarks.harness.kept import write_pictures
from workflow.tables.influence import make_influence
from workflow.tables.learners import make_quality_at, make_ratios, make_speedups
from workflow.tables.pictures import read_pictures
from workflow.tables.reproduction import make_reproduction
from workflow.tables.robustness import make_robustness
from workflow.tables.scores import make_scores
from workflow.tables.targets import make_hits, make_targets

COMMITTED = Path(__file__).resolve().parent.parent / "results"
RAYS = ("rays.csv", "rays_maps.parquet", "rays_descents.csv")
REASON = "libatomic.so.1 is missing: apt-get install libatomic1 libllvm19"
BOWLS = {"bowl_4": 4, "bowl_60": 60, "square": 2}
ON_BOWLS = {  # label → algorithm, final loss
    "random_search": ("random_search", 0.5),
    "adam": ("adam", 1e-6),
    "spsa": ("spsa", 0.2),
    "prdpt": ("prdpt", 0.1),
    "prdpt_exact": ("prdpt", 0.15),
    "prdpt_constant_sigma": ("prdpt", 0.3),
    "zerograds": ("zerograds", 0.01),
    "zerograds_linear": ("zerograds", 0.02),
    "cma_es": ("cma_es", 1e-3),
}
ORACLES = set(every_label().query("kind == 'oracle'").label)
GRADIENTS = ("gradient_norm", "gradient_norm_variance", "gradient_cosine")
PICTURED = ("cup", "sphere_apart", "sphere_overlap")
COSTS = (1, 10, 100, 1000)


def make_whole(folder):
    """Write every table that a figure reads; nothing is missing."""
    scenes_by_hand.make_folder(folder)
    learned.make_folder(folder)
    tasks, runs, curves = (read(folder / name) for name in ("tasks.csv", "runs.parquet", "curves.parquet"))
    runs, curves, found = [runs], [curves], [tasks]
    for task, dim in BOWLS.items():
        problem = "raster.square" if task == "square" else "analytic.quadratic"
        found.append(make_tasks(task, dim=dim, problem=problem))
        for method, (algorithm, last) in ON_BOWLS.items():
            for seed in range(2):
                run = make_run(task, method, seed, last * (1 + 0.1 * seed), algorithm=algorithm, dim=dim)
                runs.append(pd.DataFrame([run]))
                points = [(cost, max(run["loss_final"], 1 - cost / 500)) for cost in COSTS]
                curves.append(pd.DataFrame(make_curve(run, points)))
                for metric in GRADIENTS if algorithm in ("spsa", "prdpt", "zerograds") else ():
                    curves.append(pd.DataFrame(make_curve(run, [(c, 0.1 + c / 2000) for c in COSTS], metric)))
    picture = np.linspace(0, 255, 12 * 16 * 3).reshape(12, 16, 3).astype(np.uint8)
    pictures = read_pictures(folder / "pictures.npz", sealed=False)
    pictures = {key: item for key, item in pictures.items() if key.split("/")[0] in PICTURED}
    pictures |= {f"square/{name}": picture for name in ("start", "target", *ON_BOWLS)}
    write_pictures(folder / "pictures.npz", pictures)
    ran = [f"square/prdpt/{at}" for at in (20, 1000)] + ["square/random_search/1000", "cup/cma_es/100"]
    write_pictures(folder / "worlds.npz", dict.fromkeys(ran, picture))
    write_runs(folder, pd.concat(found).assign(status="ok", phase="", reason=""), pd.concat(runs), pd.concat(curves))
    for name in ("landscape.parquet", "surrogate.parquet"):
        shutil.copy(COMMITTED / "desk" / "tables" / name, folder / name)
    make_influence((5, 60), 60, photons=32, pixels=16).to_parquet(folder / "influence.parquet", index=False)
    for name in ("diffusion.csv", "diffusion_order.csv", "posterior.csv", *RAYS):
        shutil.copy(COMMITTED / "future" / "tables" / name, folder / name)
    write_labels(folder)
    write_speedups(folder)
    sampling = pd.read_parquet(COMMITTED / "appearance" / "tables" / "sampling.parquet")
    members = sorted(sampling.member.unique())[:3]
    sampling[sampling.member.isin(members) & (sampling.n < 64)].to_parquet(folder / "sampling.parquet", index=False)


def write_speedups(folder):
    """Write what rivals need to be as good as those who learn to descend."""
    models, adaptation = read(folder / "models.parquet"), read(folder / "adaptation.parquet")
    make_speedups("hand", make_ratios(models, adaptation)).to_csv(folder / "speedups.csv", index=False)


def write_runs(folder, tasks, runs, curves):
    """Write the tables of runs and all that follow from them, by the code that makes them for a suite."""
    runs, curves = runs.reset_index(drop=True), curves.reset_index(drop=True)
    measured = tasks[tasks.status == "ok"]
    targets = make_targets(measured)
    hits = make_hits(runs, curves, targets)
    tasks.to_csv(folder / "tasks.csv", index=False)
    runs.to_parquet(folder / "runs.parquet", index=False)
    curves.to_parquet(folder / "curves.parquet", index=False)
    hits.to_parquet(folder / "hits.parquet", index=False)
    make_robustness(runs, runs[runs["method"].isin(ON_BOWLS)], measured).to_csv(folder / "robustness.csv", index=False)
    make_scores(runs, tasks, hits, ORACLES).to_csv(folder / "scores.csv", index=False)
    make_reproduction(measured, runs, curves).to_csv(folder / "reproduction.csv", index=False)


def read(path):
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


def keys_of(frame):
    return pd.MultiIndex.from_frame(frame[["task", "method", "seed"]])


def lose(folder, status, chosen):
    """Let the runs `chosen` (a function of runs.parquet) end with this status; `missing`: without a row."""
    tasks, runs, curves = (read(folder / name) for name in ("tasks.csv", "runs.parquet", "curves.parquet"))
    tasks[["phase", "reason"]] = tasks[["phase", "reason"]].fillna("")
    lost = chosen(runs).to_numpy(bool)
    of_lost = keys_of(curves).isin(keys_of(runs[lost]))
    begun = status in ("diverged", "timeout")  # keeps what it had logged
    curves = curves[~of_lost | (begun & (curves.cost <= 10))]
    if status == "missing":
        runs = runs[~lost]
    else:
        phase = "ask" if status in ("crashed", "timeout") else ""
        runs = runs.assign(phase=np.where(lost, phase, ""))
        runs.loc[lost, ["status", "reason", "loss_final", "n_evals"]] = [status, REASON, np.nan, 0]
        runs.loc[lost, ["cost", "wall_s"]] = [20.0, 0.02] if begun else [0.0, 0.0]
    gone = set(keys_of(read(folder / "runs.parquet")[lost]).droplevel("seed"))
    keep_pictures(folder / "pictures.npz", lambda task, what: (task, what) not in gone)
    write_runs(folder, tasks, runs, curves)


def lose_tasks(folder, chosen):
    """Let the calibration of the tasks `chosen` (a function of tasks.csv) fail, and all of their runs with it."""
    tasks = read(folder / "tasks.csv")
    lost = tasks.task[chosen(tasks)].tolist()
    lose(folder, "unsupported", lambda runs: runs.task.isin(lost))
    tasks, runs, curves = (read(folder / name) for name in ("tasks.csv", "runs.parquet", "curves.parquet"))
    tasks[["phase", "reason"]] = tasks[["phase", "reason"]].fillna("")
    here = tasks.task.isin(lost)
    tasks.loc[here, ["status", "phase", "reason"]] = ["unsupported", "setup", REASON]
    tasks = tasks.astype({"dim": float})
    tasks.loc[here, ["dim", "loss_start", "loss_floor"]] = np.nan
    runs = runs.astype({"dim": float})
    runs.loc[runs.task.isin(lost), "dim"] = np.nan
    write_runs(folder, tasks, runs, curves)
    keep_pictures(folder / "pictures.npz", lambda task, _: task not in lost)
    scenes = read(folder / "scene_landscape.parquet")
    scenes[~scenes.task.isin(lost)].to_parquet(folder / "scene_landscape.parquet", index=False)


def lose_learners(folder, status, chosen):
    """Let the learners `chosen` (a function of a table with family and learner) end with this status."""
    models, adaptation = read(folder / "models.parquet"), read(folder / "adaptation.parquet")
    lost = chosen(models)
    if status == "missing":
        models = models[~lost]
    else:
        models.loc[lost, ["status", "reason"]] = [status, REASON]
        if status != "diverged":
            models = models.astype({"metric": object, "inner_steps": float, "step_samples": float})
            models.loc[lost, ["metric", "inner_steps", "step_samples"]] = [None, np.nan, np.nan]
    left = adaptation[~chosen(adaptation)]
    models.to_parquet(folder / "models.parquet", index=False)
    left.to_parquet(folder / "adaptation.parquet", index=False)
    make_quality_at(left).to_csv(folder / "quality_at.csv", index=False)
    write_speedups(folder)
    pairs = set(left[["family", "learner"]].itertuples(index=False, name=None))
    families = {family for family, _ in pairs}
    keep_pictures(
        folder / "adaptation_pictures.npz",
        lambda family, _, what, *step: (family, what) in pairs if step else family in families,
    )


def keep_pictures(path, wanted):
    """Leave the pictures for which `wanted(*parts of the key)` is true."""
    write_pictures(
        path, {key: item for key, item in read_pictures(path, sealed=False).items() if wanted(*key.split("/"))}
    )


def empty(path):
    """Leave a table its columns alone."""
    if path.suffix == ".npz":
        write_pictures(path, {})
        return
    frame = read(path).head(0)
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path, index=False)
