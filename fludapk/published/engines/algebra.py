"""Expressions of other engines: parsed, written out, valued and taken apart.

Python itself evaluates nothing of them.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Final, TypeGuard

MOST_PARTS: Final = 1000
"""Parts of an expression that is read, names written out."""
DEEPEST: Final = 60
"""Levels of nesting of an expression at most."""
NOTHING: Final = "__nothing__"
"""Stands for the value of a name where no branch has given it one."""
_FUNCTIONS: Final[Mapping[str, Callable[..., float]]] = {
    "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "pow": math.pow, "abs": abs,
    "log10": math.log10,
}  # fmt: skip
_UNARY: Final[Mapping[type[ast.unaryop], Callable[[float], float]]] = {
    ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_,
}  # fmt: skip
_BINARY: Final[Mapping[type[ast.AST], Callable[[float, float], float]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: math.pow, ast.Eq: operator.eq, ast.NotEq: operator.ne,
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
}  # fmt: skip


class NotReadError(Exception):
    """A part of an expression that the grammar of model files does not have."""


def parsed(text: str) -> ast.expr | None:
    """Parse an expression in Python's notation; None if it is none, or nested beyond reading."""
    depth = deepest = 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        deepest = max(deepest, depth)
    if len(text) > 10 * MOST_PARTS or deepest > DEEPEST:
        return None
    try:
        expression = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: -----x
        return None
    return None if is_deep(expression) else expression


def is_deep(expression: ast.expr) -> bool:
    """Tell if parts are nested so deeply that walking through them would fail."""
    level: list[ast.AST] = [expression]
    for _ in range(DEEPEST):
        level = [inner for node in level for inner in ast.iter_child_nodes(node)]
    return bool(level)


def size(expression: ast.expr, sizes: Mapping[str, int]) -> int:
    """Count the parts of an expression whose names are written out."""
    parts = (node for node in ast.walk(expression) if isinstance(node, ast.expr))
    return sum(sizes.get(name_of(node), 1) for node in parts)


def name_of(node: ast.AST) -> str:
    """Return the name that a node is; empty if it is none."""
    return node.id if isinstance(node, ast.Name) else ""


def names_in(node: ast.AST) -> set[str]:
    """Return the names of an expression, without functions."""
    called = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in called}


class Inlined(ast.NodeTransformer):
    """Put definitions in the place of their names."""

    def __init__(self, names: Mapping[str, ast.expr]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """Return the definition of a name, if it has one."""
        return self.names.get(node.id, node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Write out the arguments of a function, and not its name."""
        inner = [self.visit(argument) for argument in node.args]
        return ast.Call(func=node.func, args=inner, keywords=[])


def value(node: ast.expr, names: Mapping[str, float]) -> float:
    """Compute an expression; NaN if it has no value.

    Parameters
    ----------
    node : expression
    names : mapping of str to float

    Examples
    --------
    >>> value(parsed("CL/V*exp(-1) if SEX == 1 else 0"), {"CL": 5.0, "V": 50.0, "SEX": 0.0})
    0.0
    """
    try:
        result = _value(node, names)
    except (ArithmeticError, ValueError, TypeError, LookupError):
        return math.nan
    return float(result) if isinstance(result, int | float) else math.nan


def _value(node: ast.expr, names: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(op=op, operand=operand):
            return float(_UNARY[type(op)](_value(operand, names)))
        case ast.BinOp(left=left, op=op, right=right):
            return float(_BINARY[type(op)](_value(left, names), _value(right, names)))
        case ast.Call(func=ast.Name(id=name), args=args):
            return float(_FUNCTIONS[name](*(_value(x, names) for x in args)))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _value(body if _value(test, names) else orelse, names)
        case ast.BoolOp(op=ast.And(), values=values):
            return float(all(_value(x, names) for x in values))
        case ast.BoolOp(op=ast.Or(), values=values):
            return float(any(_value(x, names) for x in values))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return float(_BINARY[type(op)](_value(left, names), _value(right, names)))
    raise ValueError


def constant(node: ast.expr) -> float | None:
    """Return the value of an expression of numbers only; None if it has names or no value."""
    number = math.nan if names_in(node) else value(node, {})
    return number if math.isfinite(number) else None


def summands(node: ast.expr, sign: float = 1.0) -> Iterator[tuple[float, ast.expr]]:
    """Take a sum apart, each part with its sign."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        yield from summands(node.operand, -sign if isinstance(node.op, ast.USub) else sign)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield from summands(node.left, sign)
        yield from summands(node.right, -sign if isinstance(node.op, ast.Sub) else sign)
    else:
        yield sign, node


def is_sum(node: ast.expr) -> TypeGuard[ast.BinOp]:
    """Tell if an expression is a sum or a difference."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)


def is_call(node: ast.AST, *functions: str) -> TypeGuard[ast.Call]:
    """Tell if an expression is the call of a function of one argument."""
    return isinstance(node, ast.Call) and name_of(node.func) in functions and len(node.args) == 1


def binary(left: ast.expr, op: ast.operator, right: ast.expr) -> ast.BinOp:
    """Join two expressions."""
    return ast.BinOp(left=left, op=op, right=right)


def call(function: str, argument: ast.expr) -> ast.Call:
    """Write the call of a function."""
    return ast.Call(func=ast.Name(function, ast.Load()), args=[argument], keywords=[])


class Simplified(ast.NodeTransformer):
    """Powers for roots and for exponentials of logarithms; products for exponentials of sums."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """Simplify a call."""
        args = [self.visit(argument) for argument in node.args]
        name = name_of(node.func)
        if name == "pow" and len(args) == 2:
            return binary(args[0], ast.Pow(), args[1])
        if name == "ifelse" and len(args) == 3:
            return ast.IfExp(test=args[0], body=args[1], orelse=args[2])
        if name == "sqrt" and len(args) == 1:
            return binary(args[0], ast.Pow(), ast.Constant(0.5))
        if name == "exp" and len(args) == 1:
            parts = [self._exponential(sign, part) for sign, part in summands(args[0])]
            product = parts[0]
            for part in parts[1:]:
                product = binary(product, ast.Mult(), part)
            return product
        return ast.Call(func=node.func, args=args, keywords=[])

    @staticmethod
    def _exponential(sign: float, part: ast.expr) -> ast.expr:
        """Write exp(c log x) as x ** c, and exp(-x) with its sign inside."""
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult):
            for factor, other in ((part.left, part.right), (part.right, part.left)):
                if is_call(other, "log"):
                    signed = factor if sign > 0 else ast.UnaryOp(ast.USub(), factor)
                    return binary(other.args[0], ast.Pow(), signed)
        if is_call(part, "log"):
            inner = part.args[0]
            return inner if sign > 0 else binary(inner, ast.Pow(), ast.Constant(-1.0))
        return call("exp", part if sign > 0 else ast.UnaryOp(ast.USub(), part))


def simplified(node: ast.expr) -> ast.expr:
    """Simplify an expression: sqrt, pow, and exp of sums and logarithms."""
    result: ast.expr = Simplified().visit(deepcopy(node))
    return result


def factors(node: ast.expr, sign: int = 1) -> Iterator[tuple[ast.expr, int]]:
    """Take a product apart; the sign of a factor is -1 if it divides."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield from factors(node.left, sign)
        yield from factors(node.right, sign)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        yield from factors(node.left, sign)
        yield from factors(node.right, -sign)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        if isinstance(node.op, ast.USub):
            yield ast.Constant(-1.0), 1
        yield from factors(node.operand, sign)
    elif (
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and _is_product(node.left)
        and not _is_ratio(node.left)
    ):  # fmt: skip
        for inner, power in factors(node.left):
            exponent = node.right if power > 0 else ast.UnaryOp(ast.USub(), node.right)
            yield binary(inner, ast.Pow(), exponent), sign
    else:
        yield node, sign


def _is_product(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div)


def _is_ratio(node: ast.expr) -> bool:
    """Tell x / ref, which is one thing to a power."""
    return (
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        and not _is_product(node.left) and not _is_product(node.right)
    )  # fmt: skip


def product(parts: list[tuple[ast.expr, int]]) -> ast.expr:
    """Put factors together again; 1 if there are none."""
    result: ast.expr | None = None
    for node, sign in parts:
        if result is None:
            result = node if sign > 0 else binary(ast.Constant(1.0), ast.Div(), node)
        else:
            result = binary(result, ast.Mult() if sign > 0 else ast.Div(), node)
    return ast.Constant(1.0) if result is None else result
