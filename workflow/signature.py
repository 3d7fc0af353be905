"""Parameters of a task, method or figure, read from its source text: nothing is imported, it takes milliseconds."""

from __future__ import annotations

import ast
import typing
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TYPES = {name: getattr(typing, name) for name in ("Any", "Literal", "Mapping", "Sequence")}


@cache
def setup_of(module: str) -> Callable[..., None] | None:
    """Return an empty function with the signature of the `setup` of the module's public class.

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
def options_of(module: str) -> Callable[..., None] | None:
    """Return the like for the fields of the module's dataclass `Options`."""
    tree = _parse(module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.ClassDef) and node.name == "Options":
            fields = [
                item for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            ]
            names = [ast.arg("self"), *(ast.arg(field.target.id, field.annotation) for field in fields)]
            values = [field.value or ast.Constant(...) for field in fields]
            arguments = ast.arguments([], names, None, [], [], None, values)
            return _stub(arguments, tree)
    return None


def _parse(module: str) -> ast.Module | None:
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    try:
        return ast.parse(path.read_text(), str(path))
    except (OSError, SyntaxError):
        return None


def _find_setup(module: str, class_name: str) -> Callable[..., None] | None:
    """Look in the class, then in its bases, wherever they are imported from."""
    tree = _parse(module)
    if tree is None:
        return None
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and item.name == "setup":
                    return None if _abstract(item) else _stub(item.args, tree)
            for base in node.bases:
                if isinstance(base, ast.Name):
                    found = _find_setup(*imported.get(base.id, (module, base.id)))
                    if found:
                        return found
    return None


def _abstract(function: ast.FunctionDef) -> bool:
    return any(isinstance(item, ast.Name) and item.id == "abstractmethod" for item in function.decorator_list)


def _stub(arguments: ast.arguments, tree: ast.Module) -> Callable[..., None]:
    """Compile an empty function with these arguments; what cannot be evaluated alone becomes `object` or None."""
    names: dict[str, Any] = dict(TYPES)
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = _evaluate(node.value, names)
            if value is not None:
                names[node.targets[0].id] = value
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.annotation is None or _evaluate(argument.annotation, names) is None:
            argument.annotation = ast.Name("object", ast.Load())
    arguments.defaults = [_settled(default, names) for default in arguments.defaults]
    arguments.kw_defaults = [default and _settled(default, names) for default in arguments.kw_defaults]
    empty = ast.FunctionDef(
        name="setup", args=arguments, body=[ast.Pass()], decorator_list=[], returns=None, type_params=[]
    )
    module = ast.fix_missing_locations(ast.Module([empty], []))
    exec(compile(module, "<signature>", "exec", dont_inherit=True), names)
    return names["setup"]


def _evaluate(node: ast.expr, names: dict[str, Any]) -> Any:
    try:
        code = compile(ast.Expression(ast.copy_location(node, node)), "<signature>", "eval", dont_inherit=True)
        return eval(code, dict(names))
    except Exception:  # noqa: BLE001  (the expression belongs to a module that is deliberately not imported)
        return None


def _settled(node: ast.expr, names: dict[str, Any]) -> ast.expr:
    return node if _evaluate(node, names) is not None else ast.Constant(None)
