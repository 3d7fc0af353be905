"""What there is, a name for every file: tasks, methods, families, learners, laws, samplers … None of it is imported."""

from __future__ import annotations

from benchmarks.contract.reading import ROOT

FAMILIES = "appearance"  # the folder of benchmarks/ that holds families for meta-learning, not tasks
LAWS = "sampling"  # the one that holds laws for diffusion samplers
MEASUREMENTS = "posterior"  # the one that holds what is measured of a diffusion model's draws
NO_TASKS = ("contract", "experiments", "harness", FAMILIES, LAWS, MEASUREMENTS)
LEARNERS = "methods.meta"
DIFFUSION = "methods.diffusion"
GUIDES = "methods.posterior"


def task_names() -> list[str]:
    """Return `world.task` for every file in a world of `benchmarks/`."""
    worlds = [folder.name for folder in (ROOT / "benchmarks").iterdir() if folder.is_dir()]
    return sorted(f"{world}.{name}" for world in {*worlds} - {*NO_TASKS} for name in _names(f"benchmarks.{world}"))


def method_names() -> list[str]:
    """Return the name of every file in `methods/` that holds a method."""
    return _names("methods")


def family_names() -> list[str]:
    """Return the name of every family of tasks for meta-learning."""
    return _names(f"benchmarks.{FAMILIES}")


def learner_names() -> list[str]:
    """Return the name of every file in `methods/meta/` that holds a learner."""
    return _names(LEARNERS)


def law_names() -> list[str]:
    """Return the name of every law for diffusion samplers."""
    return _names(f"benchmarks.{LAWS}")


def sampler_names() -> list[str]:
    """Return the name of every file in `methods/diffusion/` that holds a sampler."""
    return _names(DIFFUSION)


def measurement_names() -> list[str]:
    """Return the name of every measurement of a diffusion model's draws."""
    return _names(f"benchmarks.{MEASUREMENTS}")


def guide_names() -> list[str]:
    """Return the name of every file in `methods/posterior/` that holds a guide."""
    return _names(GUIDES)


def _names(room: str) -> list[str]:
    """Return the files of a room that hold one class to choose: neither its base nor what starts with an underscore."""
    return sorted(file.stem for file in ROOT.joinpath(*room.split(".")).glob("[!_]*.py") if file.stem != "base")
