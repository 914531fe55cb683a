"""Published formulas in the text of a model, told from the numbers that they give."""

from __future__ import annotations

import ast
import itertools
import math
from typing import Any, Final

import numpy as np

from fludapk.published.engines.algebra import NOTHING, constant, names_in, value
from fludapk.published.formulas import FORMULAS
from fludapk.published.model_faults import COLUMN_OF
from fludapk.published.tables import SEX

_QUANTITIES: Final = ("GFR", "weight", "BSA", "CrCl", "eGFR")
_PEOPLE: Final = (
    {"AGE": 34.0, "WT": 71.0, "HT": 168.0, "SCR": 0.83, "BSA": 1.8, "eGFR": 93.0, "CrCl": 101.0},
    {"AGE": 61.0, "WT": 96.0, "HT": 181.0, "SCR": 1.31, "BSA": 2.1, "eGFR": 55.0, "CrCl": 71.0},
    {"AGE": 9.0, "WT": 27.0, "HT": 131.0, "SCR": 0.41, "BSA": 1.0, "eGFR": 118.0, "CrCl": 66.0},
)  # fmt: skip
_SAME: Final = 1e-6
"""Largest relative difference; beyond it a formula is another one."""
_OUTSIDE: Final = 0.5
"""A code of sex that no text asks for."""


def formula_of(node: ast.expr) -> dict[str, Any] | None:
    """Find the published formula that an expression is, by its values; None if it is none.

    Names are those of model files: WT in kg, HT in cm, AGE in years, SCR in mg/dL.

    Returns
    -------
    dict or None
        ``derived``, and ``needs``: covariates that it takes.

    Examples
    --------
    >>> from fludapk.published.engines.algebra import parsed
    >>> formula_of(parsed("(HT*WT/3600)**0.5"))
    {'derived': 'mosteller', 'needs': ['HT', 'WT']}
    """
    names = names_in(node) - {NOTHING}
    for name, formula in FORMULAS.items():
        columns = {COLUMN_OF.get(argument, ""): argument for argument in formula.needs}
        if formula.quantity not in _QUANTITIES or columns.keys() != names:
            continue
        for codes in _codes(node) if SEX in names else [(0.0, 0.0)]:
            if all(_is_same(node, formula.function, columns, person, codes) for person in _PEOPLE):
                return {"derived": name, "needs": sorted(columns)}
    return None


def _codes(node: ast.expr) -> list[tuple[float, float]]:
    """Codes that female and male may have in a text."""
    numbers = {
        constant(inner.comparators[0]) for inner in ast.walk(node) if isinstance(inner, ast.Compare)
    }
    codes = sorted({0.0, 1.0, _OUTSIDE} | {x for x in numbers if x is not None})
    return list(itertools.permutations(codes, 2))


def _is_same(
    node: ast.expr, function: Any, columns: dict[str, str], person: dict[str, float],
    codes: tuple[float, float],
) -> bool:  # fmt: skip
    for is_female, code in zip((True, False), codes, strict=True):
        theirs = value(node, {**person, SEX: code})
        arguments = {
            argument: is_female if column == SEX else person.get(column, math.nan)
            for column, argument in columns.items()
        }
        with np.errstate(all="ignore"):
            ours = float(function(**arguments))
        if not math.isclose(theirs, ours, rel_tol=_SAME):
            return False
    return True
