"""A model for rxode2."""

from __future__ import annotations

from collections.abc import Sequence

from fludapk.arrays import F8
from fludapk.published.engines.statements import CaretPower, Statements

CENTRAL = "central"
_COMBINED = "; they add as SDs, one residual for both"


def code(model: Statements) -> str:
    """Write an R script that makes model, parameters and covariances."""
    thetas = ",\n  ".join(f"{name} = {value:.15g}" for name, value in model.thetas.items())
    sigma = "; ".join(f"{kind}_error ~ {sd**2:.15g}" for kind, sd in model.residual.items())
    return (
        f"{model.header('#')}library(rxode2)\n\n"
        f"{model.model.id} <- rxode2({{\n{body(model)}}})\n\n"
        f"theta <- c(\n  {thetas}\n)\n\nomega <- lotri({{\n{omegas(model)}}})\n\n"
        f"sigma <- lotri({{{sigma}}})  # SDs squared{_COMBINED if model.adds_sds else ''}\n\n"
        f'data <- read.csv("{model.model.id}.csv", na.strings = ".")\n'
        f"rxSolve({model.model.id}, theta, data, omega = NULL)  # the typical patient\n"
    )


def body(model: Statements) -> str:
    """Write the statements that rxode2 and nlmixr2 share."""
    tissues = [name.lower() for name in model.tissues]
    statements = [
        *model.kappa_definitions(),
        *model.parameter_definitions(CaretPower(model.model.file), "exp"),
    ]
    lines = [f"{name} <- {what}" for name, what in statements]
    lines += [f"d/dt({x}) <- {change}" for x, change in model.derivatives(CENTRAL, tissues)]
    lines += [f"d/dt(auc) <- {CENTRAL}/V1", f"cp <- {CENTRAL}/V1"]
    return "".join(f"  {line}\n" for line in lines)


def omegas(model: Statements) -> str:
    """Write the covariances of etas and of the kappas of every occasion."""
    lines = _covariance(model.etas, model.omega)
    for k in range(1, len(model.occasion_columns) + 1):
        lines += _covariance(model.kappas_of(k), model.omega_iov)
    return "".join(f"  {line}\n" for line in lines)


def _covariance(names: Sequence[str], matrix: F8) -> list[str]:
    """Write a covariance: element by element if it is diagonal."""
    size = range(len(names))
    if all(matrix[i, j] == 0 for i in size for j in range(i)):
        return [f"{name} ~ {matrix[k, k]:.15g}" for k, name in enumerate(names)]
    triangle = ", ".join(f"{matrix[i, j]:.15g}" for i in size for j in range(i + 1))
    return [f"{' + '.join(names)} ~ c({triangle})"]
