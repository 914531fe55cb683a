"""Equations of a model, written out."""

from __future__ import annotations

from collections.abc import Mapping

from fludapk.arrays import F8
from fludapk.published.model_files import Effect
from fludapk.published.models import Model


def equation(model: Model, parameter: str, values: Mapping[str, F8] | None = None) -> str:
    """Write out a typical parameter, in names or with the numbers of the first row.

    Parameters
    ----------
    model : Model
    parameter : str
        Name of a parameter that the paper estimated: CL, V1, k12 ...
    values : mapping of str to (n,) arrays, optional
        Covariates; if absent, names stand for thetas and covariates.

    Examples
    --------
    >>> import numpy as np
    >>> from fludapk.published.models import load_model
    >>> model = load_model("varela2025")
    >>> equation(model, "V1")
    'V1 × (WT/70)^allometry_volume'
    >>> values = {"WT": np.array([70.0]), "CrCl": np.array([48.0]), "product": np.array([0.0])}
    >>> equation(model, "CL", values)
    '(4.4 + 1.7 × (48/96)) × (70/70)^0.75'
    """
    file = model.file

    def number(value: float | str) -> str:
        if isinstance(value, str):
            return value if values is None else f"{file.theta[value].value:g}"
        return f"{value:g}"

    def written(effect: Effect) -> str:
        name = effect.covariate
        x = name if values is None else f"{values[name][0]:.4g}"
        if effect.kind == "category":
            if values is None:
                rows = (f"{number(f)} if {level}" for level, f in effect.factors.items())
                return f"({', '.join(rows)})"
            return number(effect.factors[model.categories(name)[int(values[name][0])]])
        if effect.kind == "power":
            base = x if effect.ref == 1.0 else f"({x}/{number(effect.ref)})"
            return base if effect.exponent == 1.0 else f"{base}^{number(effect.exponent)}"
        if effect.kind == "sigmoid":
            power = f"{x}^{number(effect.hill)}"
            return f"{power}/({number(effect.x50)}^{number(effect.hill)} + {power})"
        change = f"{number(effect.slope)} × ({x} − {number(effect.ref)})"
        return f"(1 + {change})" if effect.kind == "linear" else f"exp({change})"

    terms = []
    for term in file.parameters[parameter].terms:
        head = [] if term.theta is None else [number(term.theta)]
        terms.append(" × ".join(head + [written(effect) for effect in term.effects]))
    total = f"({' + '.join(terms)})" if len(terms) > 1 else terms[0]
    return " × ".join([total, *(written(e) for e in file.parameters[parameter].effects)])
