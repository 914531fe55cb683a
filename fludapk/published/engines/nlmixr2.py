"""A model for nlmixr2."""

from __future__ import annotations

from fludapk.published.engines.rxode2 import body, omegas
from fludapk.published.engines.statements import Statements


def code(model: Statements) -> str:
    """Write an R function that nlmixr2 fits or simulates."""
    thetas = "".join(
        f"    {name} <- {f'fix({value:.15g})' if name in model.fixed else f'{value:.15g}'}\n"
        for name, value in model.thetas.items()
    )
    errors = "".join(f"    {kind}_sd <- {sd:.15g}\n" for kind, sd in model.residual.items())
    functions = {"proportional": "prop", "additive": "add", "log": "lnorm"}
    error = " + ".join(f"{functions[kind]}({kind}_sd)" for kind in model.residual)
    error += " + combined1()" if model.adds_sds else ""
    return (
        f"{model.header('#')}library(nlmixr2)\n\n{model.model.id} <- function() {{\n"
        f"  ini({{\n{thetas}{_indented(omegas(model))}{errors}  }})\n"
        f"  model({{\n{_indented(body(model))}    cp ~ {error}\n  }})\n}}\n"
    )


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())
