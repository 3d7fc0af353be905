"""Every table has a schema, `workflow/schemas/tables/<table>.yaml`: columns, types, ranges, key, and what they mean."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from pandas.api import types

VERSION = 2  # of all tables together; older ones are read where their columns still tell all that is asked
FOLDER = Path(__file__).parents[1] / "schemas" / "tables"
TYPES = {
    "string": lambda column: types.is_object_dtype(column) or types.is_string_dtype(column),
    "number": lambda column: types.is_numeric_dtype(column) and not types.is_bool_dtype(column),
    "integer": lambda column: types.is_integer_dtype(column) or _whole_where_known(column),
    "boolean": lambda column: types.is_bool_dtype(column) or column.dropna().map(type).eq(bool).all(),
}


def _whole_where_known(column: pd.Series) -> bool:
    """Tell whether a column of floats holds whole numbers and missing ones: pandas has no other integers with gaps."""
    known = column.dropna()
    return types.is_float_dtype(column) and len(known) < len(column) and bool((known % 1 == 0).all())


class SchemaError(ValueError):
    """A table does not have the columns, types or values that its schema promises."""


@cache
def schema(table: str) -> dict[str, Any]:
    """Return a table's schema: `description`, `key`, `columns` (name → type, missing, low, high, values, meaning)."""
    return yaml.safe_load((FOLDER / f"{table}.yaml").read_text(encoding="utf-8"))


def check(frame: pd.DataFrame, table: str) -> pd.DataFrame:
    """Return `frame` with its columns in the schema's order.

    Raises:
        SchemaError: a column is missing or unknown, or a value is of the wrong type, out of range or repeated.
    """
    wanted = schema(table)
    columns = wanted["columns"]
    optional = {name for name, rule in columns.items() if rule.get("optional")}
    missing = [name for name in columns if name not in frame and name not in optional]
    extra = [name for name in frame if name not in columns]
    if missing or extra:
        raise SchemaError(f"table {table}: columns missing: {missing or 'none'}, unknown: {extra or 'none'}")
    frame = frame[[name for name in columns if name in frame]]
    for name in frame:
        _check_column(frame[name], columns[name], f"table {table}, column {name!r}")
    key = wanted["key"]
    repeated = frame.duplicated(key)
    if repeated.any():
        raise SchemaError(f"table {table}: two rows for {frame.loc[repeated.idxmax(), key].to_dict()}")
    return frame


def _check_column(column: pd.Series, rule: dict[str, Any], where: str) -> None:
    empty = column.isna()
    if empty.all() and (rule.get("missing") or column.empty):
        return
    if empty.any() and not rule.get("missing"):
        raise SchemaError(f"{where}: {int(empty.sum())} of {len(column)} values are missing")
    if not TYPES[rule["type"]](column):
        raise SchemaError(f"{where}: type is {column.dtype}, expected {rule['type']}")
    values = column[~empty]
    if "values" in rule and not values.isin(rule["values"]).all():
        raise SchemaError(f"{where}: {set(values) - set(rule['values'])} is none of {rule['values']}")
    low, high = rule.get("low", -np.inf), rule.get("high", np.inf)
    if rule["type"] in ("number", "integer") and not values.between(low, high).all():
        raise SchemaError(f"{where}: values from {values.min()} to {values.max()}, expected {low} … {high}")
