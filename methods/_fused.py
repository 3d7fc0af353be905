"""The pass over a network's first weights as one compiled loop: gradient, Adam and next product, four rows at a time.

Vectors of `LANES` numbers are a type of their own, so that the sums of four rows stay in the processor's registers
whatever the compiler would make of plain loops. Imported only where a network is large: numba takes half a second to
import and the loop seconds to compile, once per machine where its cache can be written.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, models, overload, register_model

from methods._fits import LANES

ROWS = 4  # at once: every number of slope and product that is loaded serves four rows
CACHE_LINE = 64  # bytes
FAST = ("contract", "reassoc", "nsz", "arcp")  # not "nnan" and "ninf": a loss may be either


class _Vector(types.Type):
    """`LANES` numbers of one type."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: _Vector) -> None:
        scalar = manager.lookup(vector.dtype).get_value_type()
        super().__init__(manager, vector, ir.VectorType(scalar, LANES))


def _pointer(context: Any, builder: ir.IRBuilder, matrix_type: types.Array, matrix: ir.Value, at: Any) -> ir.Value:
    """Return a pointer to vectors at [row, column] of a C-ordered matrix."""
    array = context.make_array(matrix_type)(context, builder, matrix)
    columns = builder.extract_value(array.shape, 1)
    first = builder.gep(array.data, [builder.add(builder.mul(at[0], columns), at[1])])
    scalar = context.get_value_type(matrix_type.dtype)
    return builder.bitcast(first, ir.VectorType(scalar, LANES).as_pointer())


@intrinsic
def _load(_typing: Any, matrix: types.Array, row: types.Type, column: types.Type) -> Any:
    """Return `LANES` numbers from matrix[row, column] on."""

    def build(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> ir.Value:
        pointer = _pointer(context, builder, signature.args[0], given[0], given[1:])
        return builder.load(pointer, align=matrix.dtype.bitwidth // 8)

    return _Vector(matrix.dtype)(matrix, types.intp, types.intp), build


@intrinsic
def _store(_typing: Any, matrix: types.Array, row: types.Type, column: types.Type, vector: _Vector) -> Any:
    """Write `LANES` numbers from matrix[row, column] on."""

    def build(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> ir.Value:
        pointer = _pointer(context, builder, signature.args[0], given[0], given[1:3])
        builder.store(given[3], pointer, align=matrix.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(matrix, types.intp, types.intp, vector), build


@intrinsic
def _prefetch(_typing: Any, matrix: types.Array, row: types.Type, column: types.Type) -> Any:
    """Ask for `LANES` numbers from matrix[row, column] on, which may lie beyond its end."""

    def build(context: Any, builder: ir.IRBuilder, signature: Any, given: Any) -> ir.Value:
        byte, integer = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, *[integer] * 3])
        prefetch = builder.module.declare_intrinsic("llvm.prefetch.p0", fnty=kind)
        first = builder.bitcast(_pointer(context, builder, signature.args[0], given[0], given[1:]), byte)
        to_write, to_first_level, of_data = (ir.Constant(integer, value) for value in (1, 3, 1))
        for offset in range(0, LANES * matrix.dtype.bitwidth // 8, CACHE_LINE):
            place = builder.gep(first, [ir.Constant(integer, offset)])
            builder.call(prefetch, [place, to_write, to_first_level, of_data])
        return context.get_dummy_value()

    return types.void(matrix, types.intp, types.intp), build


@intrinsic
def _spread(_typing: Any, number: types.Float) -> Any:
    """Return a vector of `LANES` times this number."""

    def build(_context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> ir.Value:
        kind = ir.VectorType(given[0].type, LANES)
        one = builder.insert_element(ir.Constant(kind, ir.Undefined), given[0], ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), None)
        return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), zeros)

    return _Vector(number)(number), build


@intrinsic
def _root(_typing: Any, vector: _Vector) -> Any:
    """Return the square root of every number."""

    def build(_context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> ir.Value:
        kind, name = given[0].type, f"llvm.sqrt.v{LANES}f{vector.dtype.bitwidth}"
        return builder.call(builder.module.declare_intrinsic(name, fnty=ir.FunctionType(kind, [kind])), given)

    return vector(vector), build


def _overload_arithmetic(function: Callable[..., Any], instruction: str) -> None:
    """Let an operator of two vectors be this instruction on every pair of numbers."""

    @intrinsic
    def apply(_typing: Any, left: _Vector, right: _Vector) -> Any:
        def build(_context: Any, builder: ir.IRBuilder, _signature: Any, given: Any) -> ir.Value:
            return getattr(builder, instruction)(*given, flags=FAST)

        return left(left, right), build

    @overload(function)
    def choose(left, right):  # noqa: ANN001, ANN202 (numba compares signatures, annotations included)
        if isinstance(left, _Vector) and isinstance(right, _Vector):
            return lambda left, right: apply(left, right)
        return None


for _function, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _overload_arithmetic(_function, _instruction)


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call; keep the result on disk where a folder for it can be written."""
    options = {"nogil": True, "fastmath": set(FAST), "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no such folder
        return numba.njit(**options)(function)


@numba.njit(inline="always")
def _moved(weight, mean, square, row, column, gradient, numbers):  # noqa: ANN001, ANN202
    """Update `LANES` weights and their moments along their gradient; return the new weights."""
    rate, root_scale, first, second, epsilon = numbers
    m, v = _load(mean, row, column), _load(square, row, column)
    m = m + _spread(first) * (gradient - m)
    v = v + _spread(second) * (gradient * gradient - v)
    w = _load(weight, row, column)
    w = w - _spread(rate) * m / (_root(v) * _spread(root_scale) + _spread(epsilon))
    _store(mean, row, column, m)
    _store(square, row, column, v)
    _store(weight, row, column, w)
    return w


@_compiled
def sweep(weight, mean, square, features, slope, product, more, numbers):  # noqa: ANN001, ANN201
    """Take Adam's step on weights (rows, width) in place; add features · new weights to `product` where `more`.

    Args:
        weight: W, (rows, width), like its moments `mean` and `square`; width a multiple of `LANES`.
        features: (rows, n), one row per row of W.
        slope: Of the error with respect to the product, (n, width).
        product: (n, width).
        more: Whether the product is wanted.
        numbers: Adam's lr / (1 − β₁ᵗ), 1 / √(1 − β₂ᵗ), 1 − β₁, 1 − β₂ and ε (Kingma & Ba 2015), all of W's type.
    """
    rows, width = weight.shape
    count = slope.shape[0]
    zero = numbers[0] - numbers[0]
    most = rows - rows % ROWS
    for r in range(0, most, ROWS):
        for column in range(0, width, LANES):
            a, b, c, d = _spread(zero), _spread(zero), _spread(zero), _spread(zero)
            for part in range(ROWS):
                # the next rows in four portions: all at once would fill the queue that leads to memory, and wait
                _prefetch(weight, r + ROWS + part, column)
                _prefetch(mean, r + ROWS + part, column)
                _prefetch(square, r + ROWS + part, column)
                for n in range(part * count // ROWS, (part + 1) * count // ROWS):
                    s = _load(slope, n, column)
                    a = a + _spread(features[r, n]) * s
                    b = b + _spread(features[r + 1, n]) * s
                    c = c + _spread(features[r + 2, n]) * s
                    d = d + _spread(features[r + 3, n]) * s
            a = _moved(weight, mean, square, r, column, a, numbers)
            b = _moved(weight, mean, square, r + 1, column, b, numbers)
            c = _moved(weight, mean, square, r + 2, column, c, numbers)
            d = _moved(weight, mean, square, r + 3, column, d, numbers)
            if more:
                for n in range(count):
                    p = _load(product, n, column) + _spread(features[r, n]) * a + _spread(features[r + 1, n]) * b
                    p = p + _spread(features[r + 2, n]) * c + _spread(features[r + 3, n]) * d
                    _store(product, n, column, p)
    for r in range(most, rows):
        for column in range(0, width, LANES):
            a = _spread(zero)
            for n in range(count):
                a = a + _spread(features[r, n]) * _load(slope, n, column)
            a = _moved(weight, mean, square, r, column, a, numbers)
            if more:
                for n in range(count):
                    _store(product, n, column, _load(product, n, column) + _spread(features[r, n]) * a)
