"""Doubts about a source that expressions do not show: its differential equations and its scale."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from fludapk.published.engines.algebra import parsed, value
from fludapk.published.engines.source import Source, named

_NUMBERS: Final = {"CL": 5.3, "V1": 31.0, "Q2": 7.1, "V2": 41.0, "Q3": 2.3, "V3": 67.0,
                   "k12": 0.23, "k21": 0.17, "k13": 0.07, "k31": 0.034}  # fmt: skip


def doubts(source: Source, theirs: Mapping[str, str]) -> list[str]:
    """List what speaks against a linear model of amounts in mg, concentrations in mg/L.

    Parameters
    ----------
    source : Source
    theirs : mapping of str to str
        Parameter of ours -> its name in the source.
    """
    names = {name: _NUMBERS[ours] for ours, name in theirs.items()}
    given = dict(names)
    for name, text in [*source.statements, *source.rates]:
        expression = parsed(text)
        if name not in given:
            names[name] = (
                math.nan if expression is None else value(expression, {**source.thetas, **names})
            )
    listed = []
    scale = next((text for name, text in source.statements if name in ("S1", "SC")), None)
    volume = given.get(theirs.get("V1", ""))
    if scale is not None and volume and names[_scale(source)] != volume:
        listed.append(f"S1 = {scale}: concentrations in another unit than amounts per litre")
    listed += [
        f"{name} = {text}: model files have no bioavailability, lag or duration of doses"
        for name, text in source.statements
        if _is_of_dosing(name, source) and not (name[0] == "F" and names[name] == 1.0)
    ]
    if source.closed_form and "KA" in {name.upper() for name in names}:
        listed.append("ka: absorption, which model files do not have")
    return listed + _unlike(source, names, theirs)


def _is_of_dosing(name: str, source: Source) -> bool:
    """Tell a name that changes doses in its engine: F1, ALAG1, D_CENT."""
    if source.engine == "nonmem":
        return re.fullmatch(r"(F|ALAG|D|R)\d", name) is not None
    kind, _, amount = name.partition("_")
    is_amount = amount in source.derivatives or amount in ("CENT", "CENTRAL")
    return source.engine == "mrgsolve" and kind in ("F", "ALAG", "D", "R") and is_amount


def _scale(source: Source) -> str:
    return next(name for name, _ in source.statements if name in ("S1", "SC"))


def _unlike(source: Source, names: Mapping[str, float], theirs: Mapping[str, str]) -> list[str]:
    """List derivatives that are not those of a mammillary model."""
    amounts = [name for name in source.derivatives if name.lower() != "auc"]
    if not amounts or "V1" not in theirs or "CL" not in theirs:
        return []
    contents = {name: 10.0 / (k + 1) for k, name in enumerate(amounts)}
    central = contents[amounts[0]]
    expected = [-_NUMBERS["CL"] / _NUMBERS["V1"] * central]
    for k, name in enumerate(amounts[1:], start=2):
        if f"k1{k}" in theirs:
            out, back = _NUMBERS[f"k1{k}"], _NUMBERS[f"k{k}1"]
        elif f"Q{k}" in theirs and f"V{k}" in theirs:
            out, back = _NUMBERS[f"Q{k}"] / _NUMBERS["V1"], _NUMBERS[f"Q{k}"] / _NUMBERS[f"V{k}"]
        else:
            return [f"{', '.join(amounts)}: amounts between which no flows are known"]
        change = out * central - back * contents[name]
        expected[0] -= change
        expected.append(change)
    listed = []
    for name, ours in zip(amounts, expected, strict=True):
        expression = parsed(named(source.derivatives[name].replace("^", "**")))
        given = (
            math.nan
            if expression is None
            else value(expression, {**source.thetas, **names, **contents})
        )
        if not math.isclose(given, ours, rel_tol=1e-9):
            listed.append(
                f"d/dt {name} = {source.derivatives[name]}: not that of flows between volumes"
            )
    return listed
