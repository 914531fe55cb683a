"""A model as an mrgsolve specification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from fludapk.arrays import F8
from fludapk.published.engines.statements import CallPower, Statements, lower_triangle

CENTRAL: Final = "CENT"


def code(model: Statements) -> str:
    """Write a specification, with the worked patient as its default."""
    occasions = {column: float(k == 0) for k, column in enumerate(model.occasion_columns)}
    tissues = model.tissues
    random = [("E", model.etas, model.omega)]
    random += [
        (f"OCCASION{k}", model.kappas_of(k), model.omega_iov)
        for k in range(1, len(model.occasion_columns) + 1)
    ]
    parts = [
        f"[PROB]\n{model.header('#')}",
        "[PARAM]\n" + _values(model.thetas),
        "[PARAM] @input\n" + _values({**model.worked, **occasions}),
        f"[CMT] {' '.join([CENTRAL, *tissues, 'AUC'])}\n",
        *(_omega(name, labels, matrix) for name, labels, matrix in random),
        _sigma(model),
        "[MAIN]\n"
        + _statements(model.kappa_definitions())
        + _statements(model.parameter_definitions(CallPower(model.model.file), "exp")),
        "[ODE]\n"
        + "".join(
            f"dxdt_{amount} = {change};\n" for amount, change in model.derivatives(CENTRAL, tissues)
        )
        + f"dxdt_AUC = {CENTRAL}/V1;\n",
        f"[TABLE]\ncapture IPRED = {CENTRAL}/V1;\ncapture DV = {_error(model)};\n",
    ]
    return "\n".join(parts)


def _values(values: Mapping[str, float]) -> str:
    return "".join(f"{name} = {value:.15g}\n" for name, value in values.items())


def _statements(pairs: Sequence[tuple[str, str]]) -> str:
    return "".join(f"double {name} = {what};\n" for name, what in pairs)


def _omega(name: str, labels: Sequence[str], matrix: F8) -> str:
    head = f"[OMEGA] @name {name} @labels {' '.join(labels)} @block"
    return f"{head}\n{lower_triangle(matrix)}\n"


def _sigma(model: Statements) -> str:
    if model.adds_sds:
        return "[SIGMA] @labels BOTH\n1\n"
    labels = " ".join(kind.upper() for kind in model.residual)
    return (
        f"[SIGMA] @labels {labels}\n{' '.join(f'{sd**2:.15g}' for sd in model.residual.values())}\n"
    )


def _error(model: Statements) -> str:
    if "log" in model.residual:
        return "IPRED*exp(LOG)"
    if model.adds_sds:
        own, added = model.residual.values()
        return f"IPRED + ({own:.15g}*IPRED + {added:.15g})*BOTH"
    proportional = "IPRED*(1 + PROPORTIONAL)" if "proportional" in model.residual else "IPRED"
    return proportional + (" + ADDITIVE" if "additive" in model.residual else "")
