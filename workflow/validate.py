"""Is a suite's config right? Every complaint is one line: file, path of the key, what is wrong, nearest valid name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import yaml

from benchmarks.contract.errors import UsageError, shown, unknown
from benchmarks.contract.parameters import check, is_number, number_hint
from benchmarks.harness.rooms import (
    DIFFUSION,
    FAMILIES,
    GUIDES,
    LAWS,
    MEASUREMENTS,
    family_names,
    guide_names,
    law_names,
    learner_names,
    measurement_names,
    method_names,
    sampler_names,
    task_names,
)
from benchmarks.harness.sources import is_file, module_of
from workflow.figures import names as figure_names
from workflow.signature import options_of, setup_of

if TYPE_CHECKING:
    from workflow.suite import Suite

UNTUNED = "_untuned"  # ends the label of a method in the track without tuning

BRDF_MODELS = ("nbrdf", "phong", "cook_torrance", "pca")  # that sampling compares, dearest first
SAMPLING_METHODS = ("random", "stratified", "meta", "learned")
ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "workflow" / "schemas" / "suite.schema.yaml"
EXTENSION = SCHEMA.with_name("extension.schema.yaml")

# JSON's 2.0 is a whole number and NaN is a number; ours are not.
Strict = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: is_number(value),
        }
    ),
)


def check_schema(config: Any, path: str, schema: Path = SCHEMA) -> None:
    """Raise UsageError for the first key that is unknown, missing, of the wrong type or out of range."""
    if config is None:
        raise _at(path, "", "is empty; config/smoke.yaml shows what a suite says")
    errors = list(Strict(yaml.safe_load(schema.read_text(encoding="utf-8"))).iter_errors(config))
    if not errors:
        return
    order = ["additionalProperties", "propertyNames"]  # a misspelt key first: it often causes a missing one
    error = min(errors, key=lambda error: (error.validator not in order, len(error.absolute_path)))
    where = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties":
        known = error.schema["properties"]
        key = next(key for key in error.instance if key not in known)
        raise _at(path, where, unknown("key", key, known))
    if error.validator == "required":
        key = next(key for key in error.validator_value if key not in error.instance)
        raise _at(path, where, f"the key {key!r} is missing")
    if error.validator == "dependentRequired":
        key, other = next(
            (key, other)
            for other, wanted in error.validator_value.items()
            for key in wanted
            if other in error.instance and key not in error.instance
        )
        raise _at(path, where, f"the key {key!r} is missing, {other!r} needs it")
    if error.validator == "anyOf":
        either = " or ".join(repr(choice["required"][0]) for choice in error.validator_value)
        raise _at(path, where, f"the key {either} is missing")
    if isinstance(error.validator, str) and error.validator == "type":
        kind = {"number": float, "integer": int}.get(error.validator_value)
        hint = number_hint(error.instance, (kind,)) if kind else ""
        words = {"number": "a finite number", "object": "a mapping (key: value)", "array": "a list [a, b]"}
        expected = words.get(error.validator_value, error.validator_value)
        raise _at(path, where, f"is {shown(error.instance)}, expected {expected}{hint}")
    raise _at(path, where, _said(error))


def _said(error: jsonschema.ValidationError) -> str:
    limits = {
        "minimum": "is {0}, must be at least {1}",
        "exclusiveMinimum": "is {0}, must be more than {1}",
        "maximum": "is {0}, must be at most {1}",
        "maxLength": "is {0}, must have at most {1} characters",
        "pattern": "is {0}, must be {2}",
        "minItems": "must not be empty",
        "minProperties": "must not be empty",
    }
    return limits.get(error.validator, "is {0}, does not fit {1}").format(
        shown(error.instance), error.validator_value, error.schema.get("says", error.validator_value)
    )


def check_names(suite: Suite) -> None:
    """Raise UsageError for the first name that nothing answers to, and for a parameter of the wrong name or type."""
    config, path = suite.config, str(suite.path)
    tasks, methods = config.get("tasks", {}), config.get("methods", {})
    labels = {kind: config.get(kind, {}) for kind in ("tasks", "methods", "families", "learners")}
    for label, entry in tasks.items():
        where = f"tasks.{label}"
        problem = entry["problem"]
        _answers(problem, task_names(), "task", path, f"{where}.problem")
        _check_setup("benchmarks", problem, entry.get("params", {}), path, where)
    for label, entry in methods.items():
        where, algorithm = f"methods.{label}", entry.get("algorithm", label)
        _answers(algorithm, method_names(), "method", path, where)
        _check_setup("methods", algorithm, entry.get("params", {}), path, where)
        if "tuned_as" in entry:
            _check_tuned_as(label, methods, "method", path, f"{where}.tuned_as")
    for number, block in enumerate(config.get("grid", [])):
        _known_labels(block, labels, path, f"grid.{number}")
    _known_labels({"tasks": sorted(suite.never_tuned)}, labels, path, "tuning.except")
    _check_untuned(suite, labels)
    _check_learning(suite)
    _check_draws(config, path)
    for name, options in config.get("figures", {}).items():
        _known(name, figure_names(), "figure", path, "figures")
        _check_params(options_of(f"workflow.figures.{name}"), options, path, f"figures.{name}", f"figure {name!r}")
        _known_labels(options, labels, path, f"figures.{name}")
    for cell in suite.cells:
        origin = f"{suite.tuned_path} ({cell.task}, {cell.method})"
        _check_params(
            setup_of(module_of("methods", cell.algorithm)), cell.params, path, f"tuned: {origin}", cell.algorithm
        )


def _check_untuned(suite: Suite, labels: Mapping[str, Any]) -> None:
    """Raise UsageError for a pair of the track without tuning that has no tuned counterpart in the grid."""
    block, path = suite.config.get("untuned", {}), str(suite.path)
    _known_labels(block, labels, path, "untuned")
    for method in block.get("methods", []):
        if f"{method}{UNTUNED}" in labels["methods"]:
            raise _at(path, f"methods.{method}{UNTUNED}", "is the name of a cell of `untuned`; give it another")
        for task in block.get("tasks", []):
            if (task, method) not in suite.pairs:
                raise _at(path, "untuned", f"{method!r} does not meet {task!r} in the grid; add the pair there")


def _check_learning(suite: Suite) -> None:
    """Raise UsageError for the like among families and learners, and for a label that means two things."""
    config, path = suite.config, str(suite.path)
    families, learners = config.get("families", {}), config.get("learners", {})
    for kind, labels, others in (("families", families, "tasks"), ("learners", learners, "methods")):
        for label in labels:
            if label in config.get(others, {}):
                raise _at(path, f"{kind}.{label}", f"is a label under {others}, too; give one of them another name")
    for label, entry in families.items():
        where, family = f"families.{label}", entry.get("family", label)
        _answers(family, family_names(), "family", path, where)
        _check_params(
            setup_of(module_of(f"benchmarks.{FAMILIES}", family)), entry.get("params", {}), path, where, family
        )
    for label, entry in learners.items():
        where, algorithm = f"learners.{label}", entry.get("algorithm", label)
        _answers(algorithm, learner_names(), "learner", path, where)
        _check_setup("methods.meta", algorithm, entry.get("params", {}), path, where)
        if "tuned_as" in entry:
            _check_tuned_as(label, learners, "learner", path, f"{where}.tuned_as")
    for number, block in enumerate(config.get("adaptations", [])):
        _known_labels(block, {"families": families, "learners": learners}, path, f"adaptations.{number}")
    if "sampling" in config:
        _check_params(
            setup_of(f"benchmarks.{FAMILIES}.brdf"), config["sampling"].get("params", {}), path, "sampling", "brdf"
        )
        for key, known in (("models", BRDF_MODELS), ("methods", SAMPLING_METHODS)):
            for name in config["sampling"].get(key, []):
                _known(name, known, key.removesuffix("s"), path, f"sampling.{key}")
        if "model" in config["sampling"].get("params", {}):
            raise _at(path, "sampling.params.model", "models are named under sampling.models; take it out")
        measured = [label for label, entry in families.items() if entry.get("family", label) == "brdf"]
        _known(config["sampling"]["family"], measured, "family of BRDFs", path, "sampling.family")
    for cell in suite.meta_cells:
        origin = f"{suite.tuned_path} ({cell.family}, {cell.learner})"
        _check_params(
            setup_of(module_of("methods.meta", cell.algorithm)), cell.params, path, f"tuned: {origin}", cell.algorithm
        )


def _check_draws(config: Mapping[str, Any], path: str) -> None:
    """Raise UsageError for a law, sampler … that nothing answers to, and for a wrong parameter of theirs."""
    for block, key, file, room, names in (
        ("diffusion", "tasks", "law", f"benchmarks.{LAWS}", law_names()),
        ("diffusion", "samplers", "sampler", DIFFUSION, sampler_names()),
        ("posterior", "tasks", "measurement", f"benchmarks.{MEASUREMENTS}", measurement_names()),
        ("posterior", "guides", "guide", GUIDES, guide_names()),
        ("rays", "tasks", "problem", "benchmarks", [name for name in task_names() if name.startswith("rendering.")]),
    ):
        for label, entry in config.get(block, {}).get(key, {}).items():
            where, name, grid = (
                f"{block}.{key}.{label}",
                entry.get(file, entry.get("algorithm", label)),
                entry.get("grid", {}),
            )
            _answers(name, names, file, path, where)
            if "plain" in entry:
                _known(entry["plain"], config[block][key], file, path, f"{where}.plain")
            for values in product(*grid.values()):
                _check_setup(
                    room, name, {**entry.get("params", {}), **dict(zip(grid, values, strict=True))}, path, where
                )


def _check_tuned_as(label: str, entries: Mapping[str, Any], kind: str, path: str, where: str) -> None:
    """Raise UsageError unless the label named has a tuning of its own, and of the same algorithm."""
    model = entries[label]["tuned_as"]
    _known(model, entries, kind, path, where)
    if "tuned_as" in entries[model]:
        other = entries[model]["tuned_as"]
        way_out = "take it out of one of them" if model == label or other == label else f"name {other!r} here"
        raise _at(path, where, f"{model!r} is tuned as {other!r} itself; {way_out}")
    own, its = (entries[name].get("algorithm", name) for name in (label, model))
    if own != its:
        raise _at(
            path, where, f"{model!r} is the algorithm {its!r}, not {own!r}; name a label of {own!r} or take it out"
        )


def _known_labels(block: Mapping[str, Any], known: Mapping[str, Iterable[str]], path: str, where: str) -> None:
    for key, labels in known.items():
        kind = {"families": "family"}.get(key, key.removesuffix("s"))
        listed = block.get(key, [])
        for label in listed if isinstance(listed, list) else []:
            _known(label, labels, f"{kind} label", path, f"{where}.{key}")


def _answers(name: str, known: Iterable[str], kind: str, path: str, where: str) -> None:
    """Raise UsageError unless a file of the rooms has this name, or it is the path of a file."""
    if not is_file(name):
        _known(name, known, kind, path, where)
    elif not Path(name).is_file():
        raise _at(path, where, f"{kind} {name}: there is no such file, seen from {Path.cwd()}")


def _known(name: str, known: Iterable[str], kind: str, path: str, where: str) -> None:
    if name not in known:
        raise _at(path, where, unknown(kind, name, known))


def _check_setup(room: str, name: str, params: Mapping[str, Any], path: str, where: str) -> None:
    _check_params(setup_of(module_of(room, name)), params, path, where, name)


def _check_params(
    signature: Callable[..., None] | None, params: Mapping[str, Any], path: str, where: str, owner: str
) -> None:
    if signature is None:  # the source does not tell: the job will
        return
    try:
        check(signature, params, owner)
    except UsageError as error:
        raise _at(path, where, error) from error


def _at(path: str, where: str, what: object) -> UsageError:
    return UsageError(f"{path}: {where}{': ' if where else ''}{what}")
