"""Conditional expressions, resolved by the one thing that they ask for."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Final

from fludapk.published.engines.algebra import (
    NOTHING,
    NotReadError,
    constant,
    name_of,
    names_in,
    value,
)
from fludapk.published.engines.source import UNREAD

_OCCASION: Final = re.compile(r"_?I?OCC(AS\w*)?|VIS(IT)?|PERIOD|OCC\d+", re.I)


def cases_of(node: ast.IfExp) -> tuple[str, dict[float | None, ast.expr]]:
    """Resolve branches by the one thing that their outer condition asks for.

    Returns
    -------
    covariate : str
    cases : dict
        Value, or None for every other one; or, of an interval, its start: -inf for the first.

    Raises
    ------
    NotReadError
        If the condition asks for several things, or no case has a value.
    """
    asked = names_in(node.test)
    if len(asked) != 1:
        raise NotReadError(f"a condition on {', '.join(sorted(asked)) or 'nothing'}")
    (covariate,) = asked
    if covariate in (UNREAD, NOTHING):
        raise NotReadError("a condition that was not read")
    switches: set[float] = set()
    values: set[float] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Compare) and covariate in names_in(inner):
            _switch(inner, covariate, switches, values)
    if switches and values:
        raise NotReadError(f"values and intervals of {covariate}")
    if switches:
        at = sorted(switches)
        shown: list[tuple[float | None, float]] = [(-math.inf, at[0] - 1.0), *((x, x) for x in at)]
    else:
        shown = [*((x, x) for x in sorted(values)), (None, max(values, default=0.0) + 0.5)]
    cases = {case: _Resolved({covariate: x}).visit(deepcopy(node)) for case, x in shown}
    kept = {case: x for case, x in cases.items() if name_of(x) != NOTHING}
    if not kept:
        raise NotReadError(f"branches by {covariate} without a value")
    if -math.inf not in kept and None not in kept and switches:
        raise NotReadError(f"intervals of {covariate} without a value")
    return covariate, kept


def _switch(node: ast.Compare, covariate: str, switches: set[float], values: set[float]) -> None:
    right = constant(node.comparators[0])
    if name_of(node.left) != covariate or right is None or len(node.ops) != 1:
        raise NotReadError(f"the condition {ast.unparse(node)}")
    if isinstance(node.ops[0], ast.Eq | ast.NotEq):
        values.add(right)
    else:  # a step is from its value on: behind it for > and <=
        is_from = isinstance(node.ops[0], ast.GtE | ast.Lt)
        switches.add(right if is_from else math.nextafter(right, math.inf))


class _Resolved(ast.NodeTransformer):
    """Take the branch of a value."""

    def __init__(self, names: Mapping[str, float]) -> None:
        self.names = names

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        """Return the branch that is taken, if the condition has a value."""
        truth = value(node.test, self.names)
        if math.isnan(truth):
            return ast.IfExp(
                test=node.test, body=self.visit(node.body), orelse=self.visit(node.orelse)
            )
        taken: ast.expr = self.visit(node.body if truth else node.orelse)
        return taken


def is_occasion(name: str) -> bool:
    """Tell the name of an occasion, or of a column that is 1 at one."""
    return _OCCASION.fullmatch(name) is not None
