"""Parameters of a task, method or figure, read from its source text: nothing is imported or run, in milliseconds."""

from __future__ import annotations

import ast
import operator
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

import annotated_types

from benchmarks.harness.sources import is_file

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("benchmarks", "methods", "workflow")
BUILTINS = {kind.__name__: kind for kind in (bool, dict, float, int, list, object, str, tuple)}
LIBRARIES: dict[str, Mapping[str, Any]] = {
    "typing": {name: getattr(typing, name) for name in ("Annotated", "Any", "Literal")},
    "collections.abc": {"Mapping": Mapping, "Sequence": Sequence},
    "annotated_types": vars(annotated_types),
}
ARITHMETIC: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


class Unreadable(Exception):
    """An expression that does not tell its value without being run."""


@cache
def setup_of(module: str) -> Signature | None:
    """Return the signature of the `setup` of the module's public class, without `self`.

    None where the source does not tell (then the job finds a wrong parameter).
    """
    tree = _parse(module)
    for node in reversed(tree.body) if tree else ():
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found = _find_setup(module, node.name)
            if found:
                return found
    return None


@cache
def options_of(module: str) -> Signature | None:
    """Return the like for the fields of the module's dataclass `Options`."""
    tree = _parse(module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef) and node.name == "Options":
            fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
            triples = [(item.target.id, item.annotation, item.value) for item in fields if _is_name(item.target)]
            return _signature(module, triples)
    return None


@cache
def _parse(module: str) -> ast.Module | None:
    path = Path(module) if is_file(module) else ROOT.joinpath(*module.split(".")).with_suffix(".py")
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, SyntaxError, ValueError):
        return None


def _find_setup(module: str, class_name: str) -> Signature | None:
    """Look in the class, then in its bases, wherever they are imported from."""
    tree = _parse(module)
    if tree is None:
        return None
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and item.name == "setup":
                    return None if _abstract(item) else _signature(module, _arguments(item.args))
            for base in node.bases:
                if isinstance(base, ast.Name):
                    found = _find_setup(*_imports(module).get(base.id, (module, base.id)))
                    if found:
                        return found
    return None


def _abstract(function: ast.FunctionDef) -> bool:
    return any(isinstance(item, ast.Name) and item.id == "abstractmethod" for item in function.decorator_list)


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Name)


@cache
def _imports(module: str) -> dict[str, tuple[str, str]]:
    """Return name → (module, name there) of what is imported by `from … import …`."""
    tree = _parse(module)
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in (tree.body if tree else ())
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _arguments(arguments: ast.arguments) -> list[tuple[str, ast.expr | None, ast.expr | None]]:
    """Return name, annotation and default of every argument but the first."""
    placed = [*arguments.posonlyargs, *arguments.args]
    values = [*[None] * (len(placed) - len(arguments.defaults)), *arguments.defaults, *arguments.kw_defaults]
    both = zip([*placed, *arguments.kwonlyargs], values, strict=True)
    return [(argument.arg, argument.annotation, value) for argument, value in both][1:]


def _signature(module: str, triples: Sequence[tuple[str, ast.expr | None, ast.expr | None]]) -> Signature:
    """Return the signature; an annotation that the source does not tell fits everything, such a default is None."""
    found = []
    for name, annotation, default in triples:
        kind = object if annotation is None else _value(annotation, module, object)
        value = Parameter.empty if default is None else _value(default, module, None)
        found.append(Parameter(name, Parameter.KEYWORD_ONLY, default=value, annotation=kind))
    return Signature(found)


def _value(node: ast.expr, module: str, otherwise: Any) -> Any:
    try:
        return _read(node, module)
    except (Unreadable, TypeError, ValueError, ArithmeticError, LookupError, RecursionError):
        return otherwise


def _read(node: ast.expr, module: str) -> Any:
    """Return the value of a constant, of arithmetic on constants, or of an annotation."""
    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return _named(node.id, module)
        case ast.Tuple() | ast.List():
            items = [_read(item, module) for item in node.elts]
            return tuple(items) if isinstance(node, ast.Tuple) else items
        case ast.UnaryOp() if type(node.op) in ARITHMETIC:
            return ARITHMETIC[type(node.op)](_read(node.operand, module))
        case ast.BinOp(op=ast.BitOr()):
            return typing.Union[_read(node.left, module), _read(node.right, module)]  # noqa: UP007  (values, not types)
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            return ARITHMETIC[type(node.op)](_read(node.left, module), _read(node.right, module))
        case ast.Subscript():
            return _read(node.value, module)[_read(node.slice, module)]
        case ast.Call(func=ast.Name()) if _imports(module).get(node.func.id, ("",))[0] == "annotated_types":
            keywords = {item.arg: _read(item.value, module) for item in node.keywords if item.arg}
            return _named(node.func.id, module)(*(_read(item, module) for item in node.args), **keywords)
    raise Unreadable(ast.dump(node))


def _named(name: str, module: str) -> Any:
    """Return what a name stands for: assigned in the module, imported from another, or built in."""
    tree = _parse(module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.Assign) and any(_is_name(target) and target.id == name for target in node.targets):
            return _read(node.value, module)
    home, there = _imports(module).get(name, ("", name))
    if home.split(".")[0] in ROOMS:
        return _named(there, home)
    known = LIBRARIES.get(home, {}) if home else BUILTINS
    if there not in known:
        raise Unreadable(name)
    return known[there]
