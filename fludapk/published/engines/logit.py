"""The logit of a parameter between two bounds, as programs write it."""

from __future__ import annotations

import ast

from fludapk.published.engines.algebra import (
    binary,
    constant,
    factors,
    is_call,
    is_sum,
    product,
    summands,
)


def logit_of(node: ast.expr) -> tuple[ast.expr, float, float, ast.expr] | None:
    """Read low + (high - low)/(1 + exp(-(log((x - low)/(high - x)) + eta))).

    Returns
    -------
    x : expression
        Typical value.
    low, high : float
        Bounds.
    shift : expression
        What is added to the logit.
    """
    parts = list(summands(node))
    if not 1 <= len(parts) <= 2:
        return None
    low = 0.0 if len(parts) == 1 else constant(parts[0][1])
    share = list(factors(parts[-1][1]))
    span = constant(product([leaf for leaf in share if constant(leaf[0]) is not None]))
    others = [leaf for leaf in share if constant(leaf[0]) is None]
    if low is None or span is None or len(others) != 1 or others[0][1] > 0:
        return None
    below = list(summands(others[0][0]))
    if len(below) != 2 or constant(below[0][1]) != 1.0:
        return None
    exponential = below[1][1]
    if not is_call(exponential, "exp"):
        return None
    total: ast.expr | None = None
    typical = None
    for sign, part in summands(exponential.args[0], -1.0):
        if is_call(part, "log") and sign > 0 and typical is None:
            typical = part.args[0]
            continue
        signed = part if sign > 0 else ast.UnaryOp(ast.USub(), part)
        total = signed if total is None else binary(total, ast.Add(), signed)
    if (
        typical is None
        or total is None
        or not (isinstance(typical, ast.BinOp) and is_sum(typical.left))
    ):
        return None
    top, bottom = list(summands(typical.left)), list(summands(typical.right))
    x = typical.left.left
    low_there, high = constant(top[-1][1]), constant(bottom[0][1])
    if low_there != low or high is None or abs(high - low - span) > 1e-12 * abs(high):
        return None
    return x, low, high, total
